// One process, one event loop: what a container of this service would run.
import { createApp } from './app.js'
import { createPublisher } from './events.js'

const required = (name) => {
  const value = process.env[name]
  if (!value) {
    console.error(`${name} is not set; DATABASE_URL, KAFKA_BROKERS and JWT_KEY are needed`)
    process.exit(2)
  }
  return value
}

const stores = { prisma: './stores/prisma.js', pg: './stores/pg.js' }
const storeName = process.env.STORE ?? 'prisma'
if (!stores[storeName]) {
  console.error(`STORE=${storeName} is unknown; use prisma or pg`)
  process.exit(2)
}

const { createStore } = await import(stores[storeName])
const store = await createStore({
  databaseUrl: required('DATABASE_URL'),
  poolSize: Number(process.env.POOL_SIZE ?? 10),
})
const publisher = await createPublisher(required('KAFKA_BROKERS').split(','), {
  batch: process.env.EVENT_BATCH !== 'off',
})
const app = createApp({ store, publisher, jwtKey: required('JWT_KEY') })

const stop = async () => {
  await app.close()
  await publisher.close()
  await store.close()
  process.exit(0)
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)

const address = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) })
console.log(`listening on ${address} with the ${storeName} store`)
