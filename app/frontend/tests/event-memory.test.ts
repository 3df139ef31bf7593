import { describe, expect, it } from 'vitest'
import { EventMemory } from '../app/utils/event-memory'
import { memoryStorage } from './support'

describe('EventMemory', () => {
  it('starts anew where the storage holds nonsense', () => {
    const storage = memoryStorage()
    for (const nonsense of ['{', '7', '{"recent":"x"}']) {
      storage.setItem('events', nonsense)
      expect(new EventMemory(storage, 'events').last).toBeNull()
    }
  })

  it('keeps the place of each user apart', () => {
    const storage = memoryStorage()
    new EventMemory(storage, 'one').remember('a')
    expect(new EventMemory(storage, 'one').last).toBe('a')
    expect(new EventMemory(storage, 'two').last).toBeNull()
  })

  it('resumes from the last one received, also if it came twice', () => {
    const memory = new EventMemory(memoryStorage(), 'events')
    expect(['a', 'b', 'a'].map(id => memory.remember(id))).toEqual([true, true, false])
    expect(memory.last).toBe('a')
  })

  it('stays small however many come', () => {
    const storage = memoryStorage()
    const memory = new EventMemory(storage, 'events')
    for (let number = 0; number < 10_500; number++) memory.remember(`${number}`)
    expect(memory.remember('10499')).toBe(false)
    expect(memory.remember('600')).toBe(false)
    expect(memory.remember('0')).toBe(true)
    expect(JSON.parse(storage.getItem('events')!).recent).toHaveLength(200)
  })

  it('goes on without a storage', () => {
    const full = { getItem: () => null, setItem: () => { throw new DOMException('full', 'QuotaExceededError') } }
    const memory = new EventMemory(full, 'events')
    expect(memory.remember('a')).toBe(true)
    expect(memory.last).toBe('a')
  })
})
