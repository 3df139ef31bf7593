const firstMilliseconds = 500
const longestMilliseconds = 30_000

/**
 * How long to wait before a try, in milliseconds: twice as long each time, with half of it left to chance, so that
 * the clients of a server that restarts don't all come back in the same instant.
 *
 * @param attempt how many tries have failed so far
 * @param random a number from 0 to 1
 */
export function backoff(attempt: number, random: number): number {
  const whole = Math.min(longestMilliseconds, firstMilliseconds * 2 ** Math.min(attempt, 16))
  return Math.round(whole / 2 + (whole / 2) * random)
}
