import { Kafka, logLevel } from 'kafkajs'
import { v7 as uuidv7 } from 'uuid'

const TOPIC = 'video.created'

/** A producer whose promise settles once every in-sync replica has the event. */
export async function createPublisher(brokers) {
  const kafka = new Kafka({ clientId: 'streamify-peer', brokers, logLevel: logLevel.ERROR })
  const producer = kafka.producer({ idempotent: true, allowAutoTopicCreation: true })
  await producer.connect()

  return {
    videoCreated: (video) =>
      producer.send({
        topic: TOPIC,
        acks: -1,
        messages: [
          {
            key: video.id,
            value: JSON.stringify({
              id: uuidv7(),
              type: TOPIC,
              schema_version: 1,
              occurred_at: video.created_at,
              data: video,
            }),
          },
        ],
      }),
    close: () => producer.disconnect(),
  }
}
