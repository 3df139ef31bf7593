import type { TokenPair, User } from '~/types/contract'
import { ApiProblem, SessionEnded } from './failures'

export interface StoredSession {
  access_token: string
  refresh_token: string
  /** Milliseconds since 1970, by this machine's clock. */
  expires_at: number
  user: User
}

export interface SessionKeeperOptions {
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>
  /** Runs one at a time over all tabs. */
  exclusively<T>(work: () => Promise<T>): Promise<T>
  refresh(refreshToken: string): Promise<TokenPair>
  now?(): number
  /** Called after each change that this tab makes. */
  onChange(session: StoredSession | null): void
}

export const sessionKey = 'streamify.session'
/** A token that ends this soon might end on its way to the server. */
const marginMilliseconds = 30_000

/**
 * Keeps the tokens in the storage that all tabs share. A refresh token is good for one use, and using it twice ends
 * the session: so only one tab refreshes at a time, and whoever waited takes what the other one got.
 */
export class SessionKeeper {
  constructor(private readonly options: SessionKeeperOptions) {}

  read(): StoredSession | null {
    try {
      const session = JSON.parse(this.options.storage.getItem(sessionKey) ?? 'null') as StoredSession | null
      return session?.access_token && session.refresh_token && session.user?.id ? session : null
    }
    catch {
      return null
    }
  }

  begin(tokens: TokenPair, user: User): void {
    this.write({ ...this.timed(tokens), user })
  }

  /** Forgets the session here; returns what it was, for the server to forget as well. */
  end(): StoredSession | null {
    const session = this.read()
    this.options.storage.removeItem(sessionKey)
    this.options.onChange(null)
    return session
  }

  /**
   * A token that is good now.
   *
   * @param refused the token that the server did not take, if one was tried
   * @throws SessionEnded when nobody is logged in any more; whatever `refresh` throws when it could not ask
   */
  async accessToken(refused: string | null = null): Promise<string> {
    const session = this.read()
    if (!session) throw new SessionEnded()
    if (this.isGood(session, refused)) return session.access_token
    return await this.options.exclusively(() => this.refresh(refused))
  }

  private async refresh(refused: string | null): Promise<string> {
    const session = this.read()
    if (!session) throw new SessionEnded()
    // Another tab was here first.
    if (this.isGood(session, refused)) return session.access_token
    try {
      const tokens = await this.options.refresh(session.refresh_token)
      // Logged out, or somebody else logged in, while the answer was on its way.
      const current = this.read()
      if (current?.refresh_token !== session.refresh_token) throw new SessionEnded()
      this.write({ ...this.timed(tokens), user: current.user })
      return tokens.access_token
    }
    catch (failure) {
      const isRefusal = failure instanceof ApiProblem && [400, 401, 403, 422].includes(failure.status)
      if (!isRefusal) throw failure
      if (this.read()?.refresh_token === session.refresh_token) this.end()
      throw new SessionEnded()
    }
  }

  private isGood(session: StoredSession, refused: string | null): boolean {
    return session.access_token !== refused && session.expires_at - this.now() > marginMilliseconds
  }

  private timed(tokens: TokenPair) {
    return {
      access_token: tokens.access_token,
      refresh_token: tokens.refresh_token,
      expires_at: this.now() + tokens.expires_in * 1000,
    }
  }

  private write(session: StoredSession): void {
    this.options.storage.setItem(sessionKey, JSON.stringify(session))
    this.options.onChange(session)
  }

  private now(): number {
    return (this.options.now ?? Date.now)()
  }
}
