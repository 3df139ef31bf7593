import type { FieldError, ProblemDocument } from '~/types/contract'

/** The server refused a request, and said why with a problem document (RFC 9457). */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
    /** Seconds after which another try makes sense, where the server said so. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail)
    this.name = 'ApiProblem'
  }
}

/** No answer came: the server is away, or the network is. */
export class Unreachable extends Error {
  constructor(cause?: unknown) {
    super('The server can’t be reached', { cause })
    this.name = 'Unreachable'
  }
}

/** Nobody is logged in any more. */
export class SessionEnded extends Error {
  constructor() {
    super('The session has ended')
    this.name = 'SessionEnded'
  }
}

/** Reads an answer that is not a success, whether or not it carries a problem document. */
export async function readProblem(response: Response): Promise<ApiProblem> {
  let document: Partial<ProblemDocument> = {}
  try {
    document = await response.json() as Partial<ProblemDocument>
  }
  catch {
    // A proxy in between may answer HTML: the status has to be enough.
  }
  const detail = document.detail || document.title || response.statusText || `The server answered ${response.status}`
  return new ApiProblem(response.status, detail, document.errors ?? [], readRetryAfter(response.headers.get('Retry-After')))
}

/** Seconds of a Retry-After header, in either of its forms (RFC 9110, 10.2.3). */
export function readRetryAfter(header: string | null, now = Date.now()): number | null {
  if (!header) return null
  if (/^\d+$/.test(header.trim())) return Number(header)
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000))
}

/** What a person reads about a failure: what happened, and what to try. */
export function explain(failure: unknown): { title: string, advice: string } {
  if (failure instanceof Unreachable) {
    return { title: 'The server can’t be reached', advice: 'Check your connection, then try again.' }
  }
  if (failure instanceof SessionEnded) {
    return { title: 'Your session has ended', advice: 'Log in again to go on.' }
  }
  if (failure instanceof ApiProblem) {
    if (failure.status === 429) {
      const wait = failure.retryAfter
      return {
        title: 'Too many tries',
        advice: wait ? `Wait ${wait} ${wait === 1 ? 'second' : 'seconds'}, then try again.` : 'Wait a moment, then try again.',
      }
    }
    if (failure.status >= 500) {
      return { title: 'The server has a problem', advice: `${failure.detail}. Try again in a moment.`.replace('..', '.') }
    }
    return { title: failure.detail, advice: '' }
  }
  return { title: 'Something went wrong', advice: 'Try again; reload the page if it stays.' }
}

/** A field's error as a sentence: the server says "is empty", the label tells of what. */
export function fieldSentence(label: string, error: FieldError): string {
  const message = error.message.trim()
  const continues = message.charAt(0) === message.charAt(0).toLowerCase()
  return `${continues ? `${label} ${message}` : message}.`.replace(/([.!?])\.$/, '$1')
}
