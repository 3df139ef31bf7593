import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { VideoCreated } from '../app/types/contract'
import { EventConnection, type ConnectionState, type Socket } from '../app/utils/event-connection'
import { EventMemory } from '../app/utils/event-memory'
import { SessionEnded, Unreachable } from '../app/utils/failures'
import { memoryStorage, video } from './support'

class TestSocket implements Socket {
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  sent: unknown[] = []
  closed = false

  private as = () => this as unknown as WebSocket
  send(text: string) { this.sent.push(JSON.parse(text)) }
  close() { this.closed = true }
  accept() { this.onopen?.call(this.as(), new Event('open')) }
  say(frame: unknown) {
    const data = typeof frame === 'string' ? frame : JSON.stringify(frame)
    this.onmessage?.call(this.as(), { data } as MessageEvent)
  }

  end(code: number) { this.onclose?.call(this.as(), { code } as CloseEvent) }
}

const event = (id: string): VideoCreated =>
  ({ type: 'video.created', id, occurred_at: '2026-08-01T10:00:00Z', data: video(`video of ${id}`) })

function start(options: { storage?: Storage, token?: (refused: string | null) => Promise<string> } = {}) {
  const world = {
    sockets: [] as TestSocket[],
    events: [] as string[],
    states: [] as ConnectionState[],
    refused: [] as (string | null)[],
    gaps: 0,
    online: true,
    storage: options.storage ?? memoryStorage(),
  }
  const connection = new EventConnection({
    open: () => {
      const socket = new TestSocket()
      world.sockets.push(socket)
      return socket
    },
    accessToken: async (refused) => {
      world.refused.push(refused)
      return options.token ? await options.token(refused) : 'token'
    },
    isOnline: () => world.online,
    memory: new EventMemory(world.storage, 'events'),
    onEvent: received => world.events.push(received.id),
    onGap: () => (world.gaps += 1),
    onState: state => world.states.push(state),
    random: () => 1,
  })
  connection.start()
  return Object.assign(world, { connection, last: () => world.sockets.at(-1)! })
}

const settle = () => vi.advanceTimersByTimeAsync(0)

async function connected(options: Parameters<typeof start>[0] = {}) {
  const world = start(options)
  await settle()
  world.last().accept()
  world.last().say({ type: 'ready' })
  return world
}

describe('EventConnection', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('proves who it is with its first message, and looks for itself where there is nothing to resume from', async () => {
    const world = await connected()
    expect(world.last().sent).toEqual([{ type: 'auth', token: 'token', last_event_id: null }])
    expect(world.gaps).toBe(1)
    expect(world.states).toEqual(['connecting', 'connected'])
  })

  it('resumes from the last event after the connection broke', async () => {
    const world = await connected()
    world.last().say(event('a'))
    world.last().say(event('b'))
    world.last().end(1006)
    expect(world.states.at(-1)).toBe('reconnecting')
    await vi.advanceTimersByTimeAsync(500)
    expect(world.sockets).toHaveLength(2)
    world.last().accept()
    world.last().say({ type: 'ready' })
    expect(world.last().sent).toEqual([{ type: 'auth', token: 'token', last_event_id: 'b' }])
    expect(world.gaps).toBe(1)
  })

  it('resumes after a reload, and knows the events that come twice', async () => {
    const before = await connected()
    before.last().say(event('a'))
    before.last().say(event('b'))
    before.connection.stop()
    const after = await connected({ storage: before.storage })
    expect(after.last().sent).toEqual([{ type: 'auth', token: 'token', last_event_id: 'b' }])
    for (const id of ['a', 'b', 'c', 'c']) after.last().say(event(id))
    expect(after.events).toEqual(['c'])
  })

  it('waits longer after each failure, and no more once the network is back', async () => {
    const world = start()
    await settle()
    const waits = []
    for (let failure = 0; failure < 8; failure++) {
      const count = world.sockets.length
      world.last().end(1006)
      let waited = 0
      while (world.sockets.length === count) {
        await vi.advanceTimersByTimeAsync(500)
        waited += 500
      }
      waits.push(waited)
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    world.last().end(1006)
    const count = world.sockets.length
    world.connection.wake()
    await settle()
    expect(world.sockets).toHaveLength(count + 1)
  })

  it('counts a connection that is dropped at once as a failure', async () => {
    const world = await connected()
    world.last().end(4008)
    await vi.advanceTimersByTimeAsync(500)
    world.last().accept()
    world.last().say({ type: 'ready' })
    world.last().end(4008)
    await vi.advanceTimersByTimeAsync(500)
    expect(world.sockets).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(500)
    expect(world.sockets).toHaveLength(3)
    world.last().accept()
    world.last().say({ type: 'ready' })
    await vi.advanceTimersByTimeAsync(5_000)
    world.last().end(4008)
    await vi.advanceTimersByTimeAsync(500)
    expect(world.sockets).toHaveLength(4)
  })

  it('asks for another token at once when its token is refused, but does not hammer', async () => {
    const world = await connected({ token: async refused => (refused ? 'fresh' : 'stale') })
    world.last().end(4401)
    await settle()
    expect(world.refused).toEqual([null, 'stale'])
    world.last().accept()
    expect(world.last().sent).toMatchObject([{ token: 'fresh' }])
    world.last().end(4401)
    await vi.advanceTimersByTimeAsync(900)
    expect(world.sockets).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(100)
    expect(world.sockets).toHaveLength(3)
  })

  it('knows a refused token by a message where the code of a closure says nothing', async () => {
    const world = await connected({ token: async refused => (refused ? 'fresh' : 'stale') })
    world.last().say({ type: 'closing', code: 4401, reason: 'the token has expired' })
    world.last().end(1000)
    await settle()
    expect(world.refused).toEqual([null, 'stale'])
    world.last().accept()
    expect(world.last().sent).toMatchObject([{ token: 'fresh' }])
    world.last().say({ type: 'closing', code: 1008, reason: 'text messages only' })
    world.last().end(1000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(world.refused.at(-1)).toBeNull()
  })

  it('shows a fresh token before the old one ends, once', async () => {
    const world = await connected()
    world.connection.renew('token')
    world.connection.renew('fresh')
    expect(world.last().sent.slice(1)).toEqual([{ type: 'auth', token: 'fresh', last_event_id: null }])
  })

  it('tries again when the token could not be had, and stays away when the session has ended', async () => {
    let failure: Error = new Unreachable()
    const world = start({ token: async () => { throw failure } })
    await settle()
    expect(world.refused).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(500)
    expect(world.refused).toHaveLength(2)
    failure = new SessionEnded()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(world.refused).toHaveLength(3)
    expect(world.sockets).toHaveLength(0)
  })

  it('looks for itself when the server can’t tell what was missed', async () => {
    const world = await connected()
    world.last().say(event('a'))
    world.last().say({ type: 'reset' })
    expect(world.gaps).toBe(2)
    world.last().end(1006)
    await vi.advanceTimersByTimeAsync(500)
    world.last().accept()
    expect(world.last().sent).toMatchObject([{ last_event_id: null }])
  })

  it('drops a server that never gets ready', async () => {
    const world = start()
    await settle()
    const silent = world.last()
    silent.accept()
    await vi.advanceTimersByTimeAsync(15_500)
    expect(silent.closed).toBe(true)
    expect(world.sockets).toHaveLength(2)
  })

  it('is offline while the network is, without trying', async () => {
    const world = await connected()
    world.online = false
    world.connection.sleep()
    expect(world.states.at(-1)).toBe('offline')
    await vi.advanceTimersByTimeAsync(120_000)
    expect(world.sockets).toHaveLength(1)
    world.online = true
    world.connection.wake()
    await settle()
    expect(world.sockets).toHaveLength(2)
  })

  it('does not hear what it does not know', async () => {
    const world = await connected()
    for (const frame of ['{', '[]', 'null', '7', { type: 'video.renamed', id: 'x' }, { type: 'video.created', id: 'x' }]) {
      world.last().say(frame)
    }
    expect(world.events).toEqual([])
  })

  it('says nothing after it was stopped', async () => {
    const world = await connected()
    const socket = world.last()
    world.connection.stop()
    socket.say(event('a'))
    socket.end(1006)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(world.events).toEqual([])
    expect(world.sockets).toHaveLength(1)
    expect(world.states.at(-1)).toBe('stopped')
  })
})
