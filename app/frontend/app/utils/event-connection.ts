import type { VideoCreated } from '~/types/contract'
import { backoff } from './backoff'
import type { EventMemory } from './event-memory'
import { SessionEnded } from './failures'

/** `connecting` is the first try; `stopped` is before `start` and after `stop`. */
export type ConnectionState = 'stopped' | 'connecting' | 'connected' | 'reconnecting' | 'offline'

/** What is used of a WebSocket. */
export type Socket = Pick<WebSocket, 'onopen' | 'onmessage' | 'onclose' | 'send' | 'close'>

export interface EventConnectionOptions {
  open(): Socket
  /** A token that is good now; if one was refused, another one. Throws SessionEnded when there is none. */
  accessToken(refused: string | null): Promise<string>
  isOnline(): boolean
  memory: EventMemory
  /** Called once for each event. */
  onEvent(event: VideoCreated): void
  /** What was missed can't be told: lists must look for themselves. */
  onGap(): void
  onState(state: ConnectionState): void
  random?(): number
}

const tokenRefused = 4401
const normalClosure = 1000
/** A server that does not say `ready` in this time is taken for gone. */
const readyWithinMilliseconds = 15_000
/** A connection that lasts this long has succeeded; a shorter one counts as a failed try. */
const stableAfterMilliseconds = 5_000

/**
 * Follows the server's events over a WebSocket: proves who it is with the first message, resumes from the last event
 * it saw, and comes back by itself whenever the connection breaks.
 */
export class EventConnection {
  private socket: Socket | null = null
  private token: string | null = null
  private refused: string | null = null
  private failures = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private stableTimer: ReturnType<typeof setTimeout> | undefined
  private running = false
  private everReady = false
  /** Grows with each try; what an older one still says is not heard. */
  private generation = 0

  constructor(private readonly options: EventConnectionOptions) {}

  start(): void {
    if (this.running) return
    this.running = true
    void this.connect()
  }

  stop(): void {
    this.running = false
    this.drop()
    this.options.onState('stopped')
  }

  /** The network is back, or somebody looks at the page again: no reason to wait any longer. */
  wake(): void {
    if (!this.running || this.socket) return
    this.failures = 0
    void this.connect()
  }

  /** The network is gone. The browser may take minutes to tell the socket so. */
  sleep(): void {
    if (!this.running) return
    this.drop()
    this.options.onState('offline')
  }

  /** Shows a fresh token to the server before it ends the connection of the old one. */
  renew(token: string): void {
    if (!this.socket || !this.token || token === this.token) return
    this.token = token
    this.socket.send(JSON.stringify({ type: 'auth', token, last_event_id: null }))
  }

  private drop(): void {
    this.generation += 1
    clearTimeout(this.timer)
    clearTimeout(this.stableTimer)
    const socket = this.socket
    this.socket = null
    this.token = null
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close(normalClosure)
  }

  private async connect(): Promise<void> {
    this.drop()
    const generation = this.generation
    if (!this.options.isOnline()) {
      this.options.onState('offline')
      return
    }
    this.options.onState(this.everReady || this.failures > 0 ? 'reconnecting' : 'connecting')
    let token: string
    try {
      token = await this.options.accessToken(this.refused)
    }
    catch (failure) {
      if (generation !== this.generation) return
      // Without a session there is nothing to come back to: whoever ended it stops this connection.
      if (!(failure instanceof SessionEnded)) this.tryLater()
      return
    }
    if (generation !== this.generation) return
    this.refused = null
    this.listen(this.options.open(), token)
  }

  private listen(socket: Socket, token: string): void {
    const { memory } = this.options
    const resumesFrom = memory.last
    let refused = false
    this.socket = socket
    this.timer = setTimeout(() => this.tryLater(), readyWithinMilliseconds)
    socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', token, last_event_id: resumesFrom }))
    socket.onmessage = ({ data }) => {
      const frame = readFrame(data)
      if (!frame) return
      if (frame.type === 'ready') this.ready(token, resumesFrom)
      else if (frame.type === 'reset') {
        memory.loseThePlace()
        this.options.onGap()
      }
      // A server that can't choose the code that it closes with says it before.
      else if (frame.type === 'closing' && 'code' in frame && frame.code === tokenRefused) refused = true
      else if (isVideoCreated(frame) && memory.remember(frame.id)) this.options.onEvent(frame)
    }
    socket.onclose = ({ code }) => {
      refused ||= code === tokenRefused
      if (refused) this.refused = this.token ?? token
      this.tryLater(refused)
    }
  }

  private ready(token: string, resumesFrom: string | null): void {
    clearTimeout(this.timer)
    this.token = token
    this.everReady = true
    this.stableTimer = setTimeout(() => (this.failures = 0), stableAfterMilliseconds)
    this.options.onState('connected')
    // Nothing to resume from: what happened before this moment, nobody will send.
    if (resumesFrom === null) this.options.onGap()
  }

  private tryLater(atOnce = false): void {
    this.drop()
    if (!this.running) return
    this.options.onState(this.options.isOnline() ? 'reconnecting' : 'offline')
    // A refused token is renewed at once, but a server that refuses every token must not be hammered.
    const wait = atOnce && this.failures === 0 ? 0 : backoff(this.failures, (this.options.random ?? Math.random)())
    this.failures += 1
    this.timer = setTimeout(() => void this.connect(), wait)
  }
}

function readFrame(data: unknown): { type: string } | null {
  if (typeof data !== 'string') return null
  try {
    const frame = JSON.parse(data) as unknown
    return typeof frame === 'object' && frame !== null && 'type' in frame && typeof frame.type === 'string'
      ? frame as { type: string }
      : null
  }
  catch {
    return null
  }
}

function isVideoCreated(frame: { type: string }): frame is VideoCreated {
  const event = frame as Partial<VideoCreated>
  return event.type === 'video.created' && typeof event.id === 'string'
    && typeof event.data?.id === 'string' && typeof event.data.title === 'string'
}
