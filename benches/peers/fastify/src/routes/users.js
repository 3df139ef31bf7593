import { unauthorized } from '../problems.js'
import { user } from './schemas.js'

export async function userRoutes(app, { store }) {
  app.get('/me', { schema: { response: { 200: user } } }, async (request) => {
    const found = await store.findUser(request.userId)
    if (!found) throw unauthorized('The account no longer exists.')
    return found
  })
}
