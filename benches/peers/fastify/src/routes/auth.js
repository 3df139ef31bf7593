import { createHash, randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { v7 as uuidv7 } from 'uuid'
import { invalid, unauthorized } from '../problems.js'
import { credentials, refreshToken, registration, tokens, user } from './schemas.js'

const ACCESS_TOKEN_SECONDS = 900
const REFRESH_TOKEN_SECONDS = 30 * 24 * 3600
// argon2id is the library's default algorithm; the cost is OWASP's first recommendation.
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

const digest = (token) => createHash('sha256').update(token).digest()

export async function authRoutes(app, { store }) {
  const config = { public: true }
  // Compared with when the account doesn't exist, so that both cases take the same time.
  const nobody = await hash(randomBytes(16).toString('hex'), ARGON2)

  const issue = async (userId, family) => {
    const token = randomBytes(32).toString('base64url')
    await store.addRefreshToken({
      tokenHash: digest(token),
      family,
      userId,
      expiresAt: new Date(Date.now() + REFRESH_TOKEN_SECONDS * 1000),
    })
    return {
      access_token: app.jwt.sign({ sub: userId }),
      refresh_token: token,
      token_type: 'Bearer',
      expires_in: ACCESS_TOKEN_SECONDS,
    }
  }

  app.post('/register', { config, schema: { body: registration, response: { 201: user } } }, async (request, reply) => {
    const { email, password, name } = request.body
    const added = await store.addUser({
      id: uuidv7(),
      email: email.toLowerCase(),
      name,
      passwordHash: await hash(password, ARGON2),
    })
    if (!added) {
      throw invalid('The request is not valid.', [{ field: 'email', message: 'has an account already' }])
    }
    return reply.code(201).send(added)
  })

  app.post('/login', { config, schema: { body: credentials, response: { 200: tokens } } }, async (request) => {
    const { email, password } = request.body
    const found = await store.findCredentials(email.toLowerCase())
    const matches = await verify(found?.passwordHash ?? nobody, password)
    if (!found || !matches) throw unauthorized('The email or the password is wrong.')
    return issue(found.id, uuidv7())
  })

  app.post('/refresh', { config, schema: { body: refreshToken, response: { 200: tokens } } }, async (request) => {
    const used = await store.useRefreshToken(digest(request.body.refresh_token))
    if (!used) throw unauthorized('The refresh token is not valid; log in again.')
    return issue(used.userId, used.family)
  })

  app.post('/logout', { config, schema: { body: refreshToken } }, async (request, reply) => {
    await store.endFamilyOf(digest(request.body.refresh_token))
    return reply.code(204).send()
  })
}
