import { describe, expect, it } from 'vitest'
import type { TokenPair, User } from '../app/types/contract'
import { ApiProblem, SessionEnded, Unreachable } from '../app/utils/failures'
import { SessionKeeper, type StoredSession } from '../app/utils/session-keeper'
import { memoryStorage } from './support'

const user: User = { id: 'u', email: 'ada@example.com', name: 'Ada', created_at: '2026-08-01T10:00:00Z' }

/** A server that gives each refresh token one use, and ends the session of whoever uses one twice. */
function server() {
  let number = 0
  const used = new Set<string>()
  const issue = (): TokenPair => {
    number += 1
    return { access_token: `access ${number}`, refresh_token: `refresh ${number}`, token_type: 'Bearer', expires_in: 900 }
  }
  return {
    issue,
    calls: 0,
    async refresh(token: string): Promise<TokenPair> {
      this.calls += 1
      await new Promise(resolve => setTimeout(resolve, 5))
      if (used.has(token)) throw new ApiProblem(401, 'The refresh token is not valid any more')
      used.add(token)
      return issue()
    },
  }
}

/** Tabs of one browser: each has a keeper of its own; the storage and the lock are shared. */
function tabs(count: number) {
  const storage = memoryStorage()
  const origin = server()
  const clock = { now: 0 }
  let queue: Promise<unknown> = Promise.resolve()
  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work)
    queue = done.catch(() => undefined)
    return done
  }
  const changes: (StoredSession | null)[] = []
  const keepers = Array.from({ length: count }, () => new SessionKeeper({
    storage,
    exclusively,
    refresh: token => origin.refresh(token),
    now: () => clock.now,
    onChange: session => changes.push(session),
  }))
  return { keepers, keeper: keepers[0]!, storage, origin, clock, changes }
}

describe('SessionKeeper', () => {
  it('uses a token while it is good, and renews it before it ends', async () => {
    const { keeper, origin, clock } = tabs(1)
    keeper.begin(origin.issue(), user)
    expect(await keeper.accessToken()).toBe('access 1')
    clock.now = 869_000
    expect(await keeper.accessToken()).toBe('access 1')
    clock.now = 871_000
    expect(await keeper.accessToken()).toBe('access 2')
    expect(origin.calls).toBe(1)
  })

  it('refreshes once, however many tabs and requests ask', async () => {
    const { keepers, keeper, origin, clock } = tabs(4)
    keeper.begin(origin.issue(), user)
    clock.now = 1_000_000
    const tokens = await Promise.all([...keepers, ...keepers].map(each => each.accessToken()))
    expect(new Set(tokens)).toEqual(new Set(['access 2']))
    expect(origin.calls).toBe(1)
  })

  it('takes what another tab got instead of the token that was refused', async () => {
    const { keepers, keeper, origin } = tabs(2)
    keeper.begin(origin.issue(), user)
    expect(await keepers[0]!.accessToken('access 1')).toBe('access 2')
    expect(await keepers[1]!.accessToken('access 1')).toBe('access 2')
    expect(origin.calls).toBe(1)
  })

  it('ends the session when the server does', async () => {
    const { keeper, origin, changes } = tabs(1)
    const tokens = origin.issue()
    keeper.begin(tokens, user)
    await origin.refresh(tokens.refresh_token)
    await expect(keeper.accessToken('access 1')).rejects.toBeInstanceOf(SessionEnded)
    expect(keeper.read()).toBeNull()
    expect(changes.at(-1)).toBeNull()
  })

  it('keeps the session when the server can’t be asked', async () => {
    for (const failure of [new Unreachable(), new ApiProblem(503, 'Away'), new ApiProblem(429, 'Too many')]) {
      const { keeper, origin } = tabs(1)
      keeper.begin(origin.issue(), user)
      origin.refresh = async () => { throw failure }
      await expect(keeper.accessToken('access 1')).rejects.toBe(failure)
      expect(keeper.read()?.refresh_token).toBe('refresh 1')
    }
  })

  it('does not bring back a session that was left while it refreshed', async () => {
    const { keeper, origin } = tabs(1)
    keeper.begin(origin.issue(), user)
    const refreshed = keeper.accessToken('access 1')
    keeper.end()
    await expect(refreshed).rejects.toBeInstanceOf(SessionEnded)
    expect(keeper.read()).toBeNull()
  })

  it('has no token for nobody, nor for nonsense in the storage', async () => {
    const { keeper, storage } = tabs(1)
    await expect(keeper.accessToken()).rejects.toBeInstanceOf(SessionEnded)
    storage.setItem('streamify.session', '{"access_token":"x"}')
    expect(keeper.read()).toBeNull()
    storage.setItem('streamify.session', '{')
    expect(keeper.read()).toBeNull()
  })
})
