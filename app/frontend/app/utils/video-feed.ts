import type { Video } from '~/types/contract'

/** What a list shows, and what it offers to show. Ids are UUIDs of version 7: greater ones are newer. */
export interface FeedState {
  items: Video[]
  cursor: string | null
  /** Added since; offered, not pushed in, so that nothing moves under the reader's eyes. */
  waiting: Video[]
}

export const emptyFeed: FeedState = { items: [], cursor: null, waiting: [] }

function newestFirst(videos: Video[]): Video[] {
  return [...videos].sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0))
}

/** Adds the videos that are not there yet. */
function union(known: Video[], more: Video[]): Video[] {
  const ids = new Set(known.map(video => video.id))
  return newestFirst([...known, ...more.filter(video => !ids.has(video.id))])
}

export function matches(video: Video, search: string): boolean {
  return video.title.toLowerCase().includes(search.trim().toLowerCase())
}

/** A page that was loaded goes to the end. */
export function append(feed: FeedState, items: Video[], cursor: string | null): FeedState {
  const shown = union(feed.items, items)
  const ids = new Set(shown.map(video => video.id))
  return { items: shown, cursor, waiting: feed.waiting.filter(video => !ids.has(video.id)) }
}

/** A video that was added somewhere is offered. */
export function offer(feed: FeedState, videos: Video[]): FeedState {
  const ids = new Set(feed.items.map(video => video.id))
  return { ...feed, waiting: union(feed.waiting, videos.filter(video => !ids.has(video.id))) }
}

/** The offered ones go to the top. */
export function accept(feed: FeedState): FeedState {
  return { ...feed, items: union(feed.items, feed.waiting), waiting: [] }
}

/**
 * Lays the server's first page beside what is shown. Those that are newer than all that was known are offered; if
 * they fill the whole page there may be more behind them, and the list begins anew.
 */
export function lookAgain(feed: FeedState, page: Video[], cursor: string | null): { feed: FeedState, news: Video[] } {
  const known = [...feed.items, ...feed.waiting]
  const newest = known.reduce((top, video) => (video.id > top ? video.id : top), '')
  const news = page.filter(video => video.id > newest)
  if (!feed.items.length || (news.length === page.length && cursor !== null)) return { feed: { items: page, cursor, waiting: [] }, news }
  const fresh = new Map(page.map(video => [video.id, video]))
  const items = feed.items.map(video => fresh.get(video.id) ?? video)
  return { feed: offer({ ...feed, items }, news), news }
}

export function replace(feed: FeedState, changed: Video): FeedState {
  const swap = (video: Video) => (video.id === changed.id ? changed : video)
  return { ...feed, items: feed.items.map(swap), waiting: feed.waiting.map(swap) }
}

export function remove(feed: FeedState, id: string): FeedState {
  const stays = (video: Video) => video.id !== id
  return { ...feed, items: feed.items.filter(stays), waiting: feed.waiting.filter(stays) }
}
