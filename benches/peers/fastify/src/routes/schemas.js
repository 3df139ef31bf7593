// JSON Schemas: compiled once by Fastify, into validators for what comes in and serialisers for what goes out.
const object = (properties, required) => ({ type: 'object', properties, required, additionalProperties: false })
const text = (minLength, maxLength) => ({ type: 'string', minLength, maxLength })
const uuid = { type: 'string', format: 'uuid' }
const time = { type: 'string', format: 'date-time' }

const email = { type: 'string', format: 'email', maxLength: 254 }
const title = text(1, 200)
const description = text(0, 5000)
const url = { type: 'string', format: 'uri', pattern: '^https?://', maxLength: 2000 }

export const registration = object({ email, password: text(8, 200), name: text(1, 100) }, ['email', 'password', 'name'])
export const credentials = object({ email, password: text(1, 200) }, ['email', 'password'])
export const refreshToken = object({ refresh_token: text(1, 128) }, ['refresh_token'])
export const newVideo = object({ title, description, url }, ['title', 'url'])
export const videoChange = { ...object({ title, description, url }, []), minProperties: 1 }
export const videoId = object({ id: uuid }, ['id'])
export const videoQuery = object(
  { cursor: text(1, 64), limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 }, q: text(0, 200) },
  [],
)

export const user = object({ id: uuid, email: { type: 'string' }, name: { type: 'string' }, created_at: time }, [])
export const tokens = object(
  {
    access_token: { type: 'string' },
    refresh_token: { type: 'string' },
    token_type: { type: 'string' },
    expires_in: { type: 'integer' },
  },
  [],
)
export const video = object(
  {
    id: uuid,
    title: { type: 'string' },
    description: { type: 'string' },
    url: { type: 'string' },
    owner: object({ id: uuid, name: { type: 'string' } }, []),
    created_at: time,
    updated_at: time,
  },
  [],
)
export const videoPage = object(
  { items: { type: 'array', items: video }, next_cursor: { type: 'string', nullable: true } },
  [],
)
