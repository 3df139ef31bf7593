import { computed, shallowRef } from 'vue'
import type { Credentials, Registration, TokenPair, User } from '~/types/contract'
import { exclusively } from '~/utils/exclusively'
import { ApiProblem } from '~/utils/failures'
import { SessionKeeper, sessionKey, type StoredSession } from '~/utils/session-keeper'

// One session for the whole page: it is never rendered on a server.
const session = shallowRef<StoredSession | null>(null)
let left = false

const keeper = new SessionKeeper({
  storage: localStorage,
  exclusively,
  refresh: token => send<TokenPair>('POST', '/api/auth/refresh', { body: { refresh_token: token } }),
  onChange: (changed) => { session.value = changed },
})
session.value = keeper.read()

// Another tab logged in, out, or got fresh tokens.
window.addEventListener('storage', (event) => {
  if (event.key === sessionKey || event.key === null) session.value = keeper.read()
})

export function useSession() {
  async function logIn(credentials: Credentials): Promise<void> {
    const tokens = await send<TokenPair>('POST', '/api/auth/login', { body: credentials })
    const user = await send<User>('GET', '/api/users/me', { token: tokens.access_token })
    left = false
    keeper.begin(tokens, user)
  }

  async function register(registration: Registration): Promise<void> {
    await send<User>('POST', '/api/auth/register', { body: registration })
    await logIn({ email: registration.email, password: registration.password })
  }

  /** Leaves at once; the server is told if it can be reached. */
  async function logOut(): Promise<void> {
    left = true
    await exclusively(async () => {
      const ended = keeper.end()
      if (!ended) return
      const tell = send<undefined>('POST', '/api/auth/logout', {
        body: { refresh_token: ended.refresh_token },
        token: ended.access_token,
      })
      await tell.catch(() => undefined)
    })
  }

  return {
    user: computed(() => session.value?.user ?? null),
    token: computed(() => session.value?.access_token ?? null),
    isLoggedIn: computed(() => session.value !== null),
    accessToken: (refused: string | null) => keeper.accessToken(refused),
    logIn,
    register,
    logOut,
  }
}

/** Whether this tab's session ended by somebody's choice in this tab. */
export function hasLeft(): boolean {
  return left
}

/** Sends a request as who is logged in; a token that the server refuses is renewed, once. */
export async function call<T>(method: Method, path: string, options: Omit<RequestOptions, 'token'> = {}): Promise<T> {
  const token = await keeper.accessToken()
  try {
    return await send<T>(method, path, { ...options, token })
  }
  catch (failure) {
    if (!(failure instanceof ApiProblem) || failure.status !== 401) throw failure
    return await send<T>(method, path, { ...options, token: await keeper.accessToken(token) })
  }
}
