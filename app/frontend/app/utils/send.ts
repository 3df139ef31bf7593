import { apiAddress } from '~/composables/useSettings'
import { readProblem, Unreachable } from './failures'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

export interface RequestOptions {
  query?: Record<string, string | undefined>
  body?: unknown
  token?: string
  signal?: AbortSignal
}

/** No answer after this time is taken for none. */
const longestMilliseconds = 20_000

/**
 * Sends one request to the API.
 *
 * @throws ApiProblem when the server refuses it, Unreachable when no answer comes, AbortError when `signal` says so
 */
export async function send<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
  const address = new URL(apiAddress(path))
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value) address.searchParams.set(name, value)
  }
  const headers: Record<string, string> = { Accept: 'application/json, application/problem+json' }
  if (options.body !== undefined) headers['Content-Type'] = 'application/json'
  if (options.token) headers.Authorization = `Bearer ${options.token}`
  const timeout = AbortSignal.timeout(longestMilliseconds)
  try {
    const response = await fetch(address, {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    })
    if (!response.ok) throw await readProblem(response)
    return (response.status === 204 ? undefined : await response.json()) as T
  }
  catch (failure) {
    if (failure instanceof TypeError || (failure instanceof DOMException && failure.name === 'TimeoutError')) {
      throw new Unreachable(failure)
    }
    throw failure
  }
}
