import type { NewVideo, Video, VideoChange, VideoPage } from '~/types/contract'

/** The videos as the API knows them. */
export function useVideos() {
  const path = (id: string) => `/api/videos/${encodeURIComponent(id)}`
  return {
    list: (query: { q?: string, cursor?: string }, signal?: AbortSignal) =>
      call<VideoPage>('GET', '/api/videos', { query, signal }),
    find: (id: string, signal?: AbortSignal) => call<Video>('GET', path(id), { signal }),
    create: (video: NewVideo) => call<Video>('POST', '/api/videos', { body: video }),
    change: (id: string, change: VideoChange) => call<Video>('PATCH', path(id), { body: change }),
    remove: (id: string) => call<undefined>('DELETE', path(id)),
  }
}
