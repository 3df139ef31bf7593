import { describe, expect, it } from 'vitest'
import { accept, append, emptyFeed, lookAgain, matches, offer, remove, replace } from '../app/utils/video-feed'
import { video } from './support'

const ids = (videos: { id: string }[]) => videos.map(each => each.id).join('')
const feed = (letters: string, cursor: string | null = null) =>
  append(emptyFeed, [...letters].map(letter => video(letter)), cursor)
const page = (letters: string) => [...letters].map(letter => video(letter))

describe('the list of videos', () => {
  it('puts pages one after the other, newest first, each video once', () => {
    const two = append(feed('fed', 'next'), page('dcb'), null)
    expect(ids(two.items)).toBe('fedcb')
    expect(two.cursor).toBeNull()
  })

  it('offers what was added, and shows it when asked to', () => {
    const offered = offer(offer(feed('ba'), page('d')), page('cda'))
    expect(ids(offered.items)).toBe('ba')
    expect(ids(offered.waiting)).toBe('dc')
    const accepted = accept(offered)
    expect(ids(accepted.items)).toBe('dcba')
    expect(accepted.waiting).toEqual([])
  })

  it('finds what no event told of', () => {
    const { feed: looked, news } = lookAgain(offer(feed('cba'), page('d')), page('fedcba'), null)
    expect(ids(news)).toBe('fe')
    expect(ids(looked.waiting)).toBe('fed')
    expect(ids(looked.items)).toBe('cba')
  })

  it('begins anew when there may be a gap behind the first page', () => {
    const { feed: looked } = lookAgain(feed('cba'), page('zyx'), 'next')
    expect(ids(looked.items)).toBe('zyx')
    expect(looked.cursor).toBe('next')
  })

  it('shows at once what comes to an empty list', () => {
    const { feed: looked, news } = lookAgain(emptyFeed, page('ba'), null)
    expect([ids(looked.items), ids(looked.waiting), ids(news)]).toEqual(['ba', '', 'ba'])
  })

  it('takes over changes and deletions', () => {
    const changed = replace(offer(feed('ba'), page('c')), video('b', 'New title'))
    expect(changed.items[0]!.title).toBe('New title')
    const removed = remove(remove(changed, 'b'), 'c')
    expect([ids(removed.items), ids(removed.waiting)]).toEqual(['a', ''])
  })

  it('searches titles without regard to case', () => {
    expect(matches(video('a', 'A Walk by the Sea'), ' the sea ')).toBe(true)
    expect(matches(video('a', 'A Walk by the Sea'), 'lake')).toBe(false)
  })
})
