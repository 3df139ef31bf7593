import type { Video } from '../app/types/contract'

/** A storage as the browser's, without a browser. */
export function memoryStorage(): Storage {
  const values = new Map<string, string>()
  return {
    get length() { return values.size },
    key: index => [...values.keys()][index] ?? null,
    getItem: key => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: key => void values.delete(key),
    clear: () => values.clear(),
  }
}

export function video(id: string, title = `Title of ${id}`): Video {
  const moment = '2026-08-01T10:00:00Z'
  return {
    id,
    title,
    description: '',
    url: 'https://example.com/video.mp4',
    owner: { id: 'owner', name: 'Ada' },
    created_at: moment,
    updated_at: moment,
  }
}
