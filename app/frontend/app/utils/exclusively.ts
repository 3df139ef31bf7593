const name = 'streamify.session'
/** A tab that was closed in the middle of its work holds up the others for this long. */
const leaseMilliseconds = 10_000

/**
 * Runs work one at a time over all tabs of this origin. Browsers offer Web Locks on secure origins only; on a plain
 * http:// address of a local network a lease in the shared storage does nearly as well.
 */
export function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(name, work) as Promise<T> : withLease(work)
}

async function withLease<T>(work: () => Promise<T>): Promise<T> {
  const key = `${name}.lease`
  const own = `${Math.random()}`
  const pause = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds))
  const isHeldByOthers = () => {
    const [holder, until] = (localStorage.getItem(key) ?? '').split(' ')
    return holder !== own && Number(until ?? 0) > Date.now()
  }
  for (;;) {
    while (isHeldByOthers()) await pause(50)
    localStorage.setItem(key, `${own} ${Date.now() + leaseMilliseconds}`)
    // Two tabs may have written in the same instant: the later one stays, and both look again.
    await pause(20 + Math.random() * 20)
    if (!isHeldByOthers()) break
  }
  try {
    return await work()
  }
  finally {
    if (!isHeldByOthers()) localStorage.removeItem(key)
  }
}
