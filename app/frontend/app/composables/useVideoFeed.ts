import { computed, reactive, shallowRef } from 'vue'
import type { Video } from '~/types/contract'
import { accept, append, emptyFeed, lookAgain, matches, offer, remove, replace, type FeedState } from '~/utils/video-feed'

type FeedStatus = 'untouched' | 'loading' | 'ready' | 'failed'

// Outlives the list page: coming back to it shows at once what was there, and new videos are counted meanwhile.
const feed = shallowRef<FeedState>(emptyFeed)
const status = shallowRef<FeedStatus>('untouched')
const failure = shallowRef<unknown>(null)
const search = shallowRef('')
const more = reactive({ pending: false, failed: null as unknown })
let loading: AbortController | null = null

/** The list of videos: what is shown, what can be loaded, what has been added since. */
export function useVideoFeed() {
  const videos = useVideos()

  /** Loads the first page of what a search finds; what was shown stays until the answer is there. */
  async function load(wanted = search.value): Promise<void> {
    loading?.abort()
    const own = loading = new AbortController()
    const isSame = wanted === search.value && status.value === 'ready'
    search.value = wanted
    if (!isSame) status.value = 'loading'
    more.failed = null
    try {
      const page = await videos.list({ q: wanted }, own.signal)
      if (own.signal.aborted) return
      feed.value = append(emptyFeed, page.items, page.next_cursor ?? null)
      status.value = 'ready'
    }
    catch (reason) {
      if (own.signal.aborted) return
      failure.value = reason
      status.value = 'failed'
    }
  }

  /** Loads the next page; tells how many came. */
  async function loadMore(): Promise<number> {
    const { cursor } = feed.value
    if (!cursor || more.pending) return 0
    more.pending = true
    more.failed = null
    const wanted = search.value
    try {
      const page = await videos.list({ q: wanted, cursor })
      if (wanted !== search.value) return 0
      feed.value = append(feed.value, page.items, page.next_cursor ?? null)
      return page.items.length
    }
    catch (reason) {
      more.failed = reason
      return 0
    }
    finally {
      more.pending = false
    }
  }

  /** Looks at the server for what no event told; returns the videos that nobody has seen yet. */
  async function catchUp(): Promise<Video[]> {
    if (status.value !== 'ready') {
      if (status.value !== 'loading') await load()
      return []
    }
    const wanted = search.value
    try {
      const page = await videos.list({ q: wanted })
      if (wanted !== search.value) return []
      const looked = lookAgain(feed.value, page.items, page.next_cursor ?? null)
      feed.value = looked.feed
      return looked.news
    }
    catch {
      // The list says itself what it can't load; the next connection looks again.
      return []
    }
  }

  /** Takes videos that were added somewhere. */
  function added(news: Video[]): void {
    if (status.value !== 'ready') return
    const wanted = search.value ? news.filter(video => matches(video, search.value)) : news
    if (!wanted.length) return
    const offered = offer(feed.value, wanted)
    // An empty list has nothing that could move.
    feed.value = offered.items.length ? offered : accept(offered)
  }

  /** A video that was added here goes straight to the top. */
  function addedHere(video: Video): void {
    if (status.value !== 'ready' || (search.value && !matches(video, search.value))) return
    feed.value = accept(offer(feed.value, [video]))
  }

  return {
    items: computed(() => feed.value.items),
    waiting: computed(() => feed.value.waiting.length),
    hasMore: computed(() => feed.value.cursor !== null),
    status,
    failure,
    search,
    more,
    load,
    loadMore,
    catchUp,
    added,
    addedHere,
    showWaiting: () => { feed.value = accept(feed.value) },
    changed: (video: Video) => { feed.value = replace(feed.value, video) },
    removed: (id: string) => { feed.value = remove(feed.value, id) },
    /** Somebody else is here: nothing of this list is theirs. */
    forget: () => {
      loading?.abort()
      feed.value = emptyFeed
      status.value = 'untouched'
      search.value = ''
    },
  }
}
