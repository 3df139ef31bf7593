import { describe, expect, it } from 'vitest'
import { Announcements } from '../app/utils/announcements'
import { video } from './support'

const some = (count: number) => Array.from({ length: count }, (_, number) => video(`${number}`))

describe('Announcements', () => {
  it('tells of a few one by one', () => {
    const announcements = new Announcements()
    expect(announcements.plan(some(1), 0)).toMatchObject({ kind: 'each', videos: [{ id: '0' }] })
    expect(announcements.plan(some(2), 100)).toMatchObject({ kind: 'each' })
  })

  it('makes one toast of a hundred, and counts on', () => {
    const announcements = new Announcements()
    expect(announcements.plan(some(100), 0)).toMatchObject({ kind: 'many', count: 100, newest: { id: '99' } })
    expect(announcements.plan(some(1), 500)).toMatchObject({ kind: 'many', count: 101 })
  })

  it('never shows more than three single ones and a counting one', () => {
    const announcements = new Announcements()
    let single = 0
    for (let number = 0; number < 100; number++) {
      const plan = announcements.plan([video(`${number}`)], number * 20)
      if (plan?.kind === 'each') single += plan.videos.length
    }
    expect(single).toBe(3)
  })

  it('begins anew when the counting toast was closed or has gone by itself', () => {
    const announcements = new Announcements()
    announcements.plan(some(10), 0)
    announcements.mergedClosed()
    expect(announcements.plan(some(1), 10)).toMatchObject({ kind: 'each' })
    announcements.plan(some(10), 20)
    expect(announcements.plan(some(1), 60_000)).toMatchObject({ kind: 'each' })
  })

  it('has nothing to say of nothing', () => {
    expect(new Announcements().plan([], 0)).toBeNull()
  })
})
