import Fastify from 'fastify'
import jwt from '@fastify/jwt'
import { installProblems, unauthorized } from './problems.js'
import { authRoutes } from './routes/auth.js'
import { userRoutes } from './routes/users.js'
import { videoRoutes } from './routes/videos.js'

const ISSUER = 'streamify'
const AUDIENCE = 'streamify'

/** The whole API over a store (users, tokens, videos) and an event publisher. */
export function createApp({ store, publisher, jwtKey }) {
  const app = Fastify({
    logger: false,
    bodyLimit: 64 * 1024,
    requestTimeout: 30_000,
    ajv: { customOptions: { allErrors: true, removeAdditional: false, coerceTypes: true } },
  })
  installProblems(app)
  app.register(jwt, {
    secret: jwtKey,
    sign: { algorithm: 'HS256', iss: ISSUER, aud: AUDIENCE, expiresIn: '15m' },
    verify: { algorithms: ['HS256'], allowedIss: ISSUER, allowedAud: AUDIENCE },
  })
  app.decorateRequest('userId', null)
  // Every route is protected unless it says that it is public.
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config?.public) return
    try {
      request.userId = (await request.jwtVerify()).sub
    } catch {
      throw unauthorized('The access token is missing, expired or not valid.')
    }
  })
  app.register(authRoutes, { prefix: '/api/auth', store })
  app.register(userRoutes, { prefix: '/api/users', store })
  app.register(videoRoutes, { prefix: '/api/videos', store, publisher })
  app.get('/health/live', { config: { public: true } }, async () => ({ status: 'ok' }))
  app.get('/health/ready', { config: { public: true } }, async () => {
    await store.ping()
    return { status: 'ok' }
  })
  return app
}
