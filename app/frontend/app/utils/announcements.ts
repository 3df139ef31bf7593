import type { Video } from '~/types/contract'

/** What to show: some videos one by one, or how many there are. */
export type Announcement
  = | { kind: 'each', videos: Video[] }
    | { kind: 'many', count: number, newest: Video }

/** More than these at once are read by nobody. */
const mostAtOnce = 3
/** How long a toast counts as still there, in milliseconds. */
const shownFor = 6_000

/** Decides how new videos are announced, so that a hundred at once make one toast instead of a hundred. */
export class Announcements {
  private shown: number[] = []
  private merged: { count: number, at: number } | null = null

  /** @param now milliseconds of any clock that only goes forward */
  plan(videos: Video[], now: number): Announcement | null {
    const newest = videos.at(-1)
    if (!newest) return null
    this.shown = this.shown.filter(at => now - at < shownFor)
    if (this.merged && now - this.merged.at >= shownFor) this.merged = null
    // While there is a counting toast, more go into it.
    if (!this.merged && this.shown.length + videos.length <= mostAtOnce) {
      this.shown.push(...videos.map(() => now))
      return { kind: 'each', videos }
    }
    this.merged = { count: (this.merged?.count ?? 0) + videos.length, at: now }
    return { kind: 'many', count: this.merged.count, newest }
  }

  /** The counting toast is gone: the next one begins at nought. */
  mergedClosed(): void {
    this.merged = null
  }
}
