import { v7 as uuidv7 } from 'uuid'
import { forbidden, invalid, notFound } from '../problems.js'
import { newVideo, video, videoChange, videoId, videoPage, videoQuery } from './schemas.js'

const MISSING = 'There is no such video.'
const NOT_OWNER = 'Only the owner of a video may change it.'

// The cursor is the id of the last video of a page, in its shortest form.
const writeCursor = (id) => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
const readCursor = (cursor) => {
  const hex = Buffer.from(cursor, 'base64url').toString('hex')
  if (hex.length !== 32) {
    throw invalid('The request is not valid.', [{ field: 'cursor', message: 'is not one that this server gave' }])
  }
  return hex
}

export async function videoRoutes(app, { store, publisher }) {
  app.get('/', { schema: { querystring: videoQuery, response: { 200: videoPage } } }, async (request) => {
    const { cursor, limit, q } = request.query
    // One more than asked for tells whether there is a next page.
    const items = await store.listVideos({ before: cursor && readCursor(cursor), search: q, limit: limit + 1 })
    const more = items.length > limit
    if (more) items.pop()
    return { items, next_cursor: more ? writeCursor(items.at(-1).id) : null }
  })

  app.post('/', { schema: { body: newVideo, response: { 201: video } } }, async (request, reply) => {
    const { title, description = '', url } = request.body
    const id = uuidv7()
    const added = await store.addVideo({ id, ownerId: request.userId, title, description, url })
    await publisher.videoCreated(added)
    return reply.code(201).send(added)
  })

  app.get('/:id', { schema: { params: videoId, response: { 200: video } } }, async (request) => {
    const found = await store.findVideo(request.params.id)
    if (!found) throw notFound(MISSING)
    return found
  })

  app.patch('/:id', { schema: { params: videoId, body: videoChange, response: { 200: video } } }, async (request) => {
    await requireOwner(request)
    const { title, description, url } = request.body
    return store.changeVideo(request.params.id, { title, description, url })
  })

  app.delete('/:id', { schema: { params: videoId } }, async (request, reply) => {
    await requireOwner(request)
    await store.removeVideo(request.params.id)
    return reply.code(204).send()
  })

  const requireOwner = async (request) => {
    const found = await store.findVideo(request.params.id)
    if (!found) throw notFound(MISSING)
    if (found.owner.id !== request.userId) throw forbidden(NOT_OWNER)
  }
}
