import { Kafka, logLevel } from 'kafkajs'
import { v7 as uuidv7 } from 'uuid'

const TOPIC = 'video.created'

/**
 * A producer whose promise settles once every in-sync replica has the event.
 *
 * kafkajs sends one request for each `send` and, being idempotent, one at a time to a broker. So events that
 * arrive while a request is under way travel together in the next one, as other clients do with their linger;
 * `batch: false` sends each alone.
 */
export async function createPublisher(brokers, { batch = true } = {}) {
  const kafka = new Kafka({ clientId: 'streamify-peer', brokers, logLevel: logLevel.ERROR })
  const producer = kafka.producer({ idempotent: true, allowAutoTopicCreation: true })
  await producer.connect()

  const send = (messages) => producer.send({ topic: TOPIC, acks: -1, messages })
  const publish = batch ? batched(send) : (message) => send([message])

  return {
    videoCreated: (video) =>
      publish({
        key: video.id,
        value: JSON.stringify({
          id: uuidv7(),
          type: TOPIC,
          schema_version: 1,
          occurred_at: video.created_at,
          data: video,
        }),
      }),
    close: () => producer.disconnect(),
  }
}

function batched(send) {
  let waiting = []
  let sending = false

  const drain = async () => {
    sending = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        await send(batch.map(({ message }) => message))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    sending = false
  }

  return (message) =>
    new Promise((resolve, reject) => {
      waiting.push({ message, resolve, reject })
      if (!sending) drain()
    })
}
