import type { components } from './api'

// The names that the page uses for the shapes of the OpenAPI document: a renamed schema is mended here alone.
type Schemas = components['schemas']

export type User = Schemas['User']
export type Registration = Schemas['Registration']
export type Credentials = Schemas['Credentials']
export type TokenPair = Schemas['TokenPair']
export type Video = Schemas['Video']
export type NewVideo = Schemas['NewVideo']
export type VideoChange = Schemas['VideoChange']
export type VideoPage = Schemas['Page']
export type FieldError = Schemas['FieldError']
export type ProblemDocument = Schemas['Problem']

/** What the WebSocket tells of a new video; the same envelope as in Kafka. */
export interface VideoCreated {
  type: 'video.created'
  /** Recognises a frame that came twice. */
  id: string
  occurred_at: string
  data: Video
}
