/** How many ids are known at once: more than a server sends again to a client that comes back. */
const mostKnown = 10_000
/** How many of them survive a reload: the server repeats the last seconds, not more. */
const mostKept = 200

interface Kept { last: string | null, recent: string[] }

/**
 * Which events this tab has seen. It lives in the tab's own storage: a reload resumes where it was, and two tabs,
 * each with a connection of its own, don't mistake the other's place for theirs.
 */
export class EventMemory {
  private known = new Set<string>()
  /** The event to resume from. */
  last: string | null = null

  constructor(private readonly storage: Pick<Storage, 'getItem' | 'setItem'>, private readonly key: string) {
    try {
      const kept = JSON.parse(storage.getItem(key) ?? 'null') as Kept | null
      if (kept && Array.isArray(kept.recent)) {
        this.known = new Set(kept.recent)
        this.last = kept.last
      }
    }
    catch {
      // What can't be read is as good as nothing: the list is loaded anew.
    }
  }

  /** Remembers an event; false if it is one that came before. */
  remember(id: string): boolean {
    const isNew = !this.known.has(id)
    this.known.add(id)
    if (this.known.size > mostKnown) {
      for (const oldest of this.known) {
        this.known.delete(oldest)
        break
      }
    }
    // The last one received, even if it was known: it is the place in the server's order.
    this.last = id
    this.keep()
    return isNew
  }

  /** Forgets the place, not what was seen: the server can't tell what came since. */
  loseThePlace(): void {
    this.last = null
    this.keep()
  }

  private keep(): void {
    const kept: Kept = { last: this.last, recent: [...this.known].slice(-mostKept) }
    try {
      this.storage.setItem(this.key, JSON.stringify(kept))
    }
    catch {
      // A full storage costs the resume after a reload, nothing else.
    }
  }
}
