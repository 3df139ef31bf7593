import { expect, test as base, type Browser, type BrowserContext, type Locator, type Page } from '@playwright/test'

export const pageUrl = process.env.STREAMIFY_PAGE_URL ?? 'http://localhost:3000'
export const apiUrl = process.env.STREAMIFY_API_URL ?? 'http://localhost:3001'
export const password = 'correct horse battery'

export interface Video { id: string, title: string }

interface Tokens { access_token: string, refresh_token: string, expires_in: number }

/** Asks the API as a program would; waits where the rate limit says so. */
async function ask<T>(method: string, path: string, body?: unknown, token?: string): Promise<T> {
  for (;;) {
    const response = await fetch(apiUrl + path, {
      method,
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    if (response.status === 429) {
      await new Promise(resolve => setTimeout(resolve, 1000 * Number(response.headers.get('retry-after') ?? 1)))
      continue
    }
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return (response.status === 204 ? undefined : await response.json()) as T
  }
}

/** A text that no other test of this or an earlier run has used. */
export function unique(text: string): string {
  return `${text} ${Date.now().toString(36)}${Math.floor(Math.random() * 46_656).toString(36)}`
}

/** Somebody with an account, and as many browsers as the story needs. */
export class Person {
  private constructor(readonly name: string, readonly email: string, private readonly token: string) {}

  static async register(name: string): Promise<Person> {
    const email = `${unique(name.toLowerCase()).replace(' ', '.')}@example.com`
    await ask('POST', '/api/auth/register', { name, email, password })
    const tokens = await ask<Tokens>('POST', '/api/auth/login', { email, password })
    return new Person(name, email, tokens.access_token)
  }

  addVideo(title: string, url = 'https://media.example.com/video.mp4', description = ''): Promise<Video> {
    return ask<Video>('POST', '/api/videos', { title, url, description }, this.token)
  }

  /** A session of its own for each browser, in the form in which the page keeps it. */
  async session(): Promise<string> {
    const tokens = await ask<Tokens>('POST', '/api/auth/login', { email: this.email, password })
    const user = await ask('GET', '/api/users/me', undefined, tokens.access_token)
    return JSON.stringify({ ...tokens, expires_at: Date.now() + tokens.expires_in * 1000, user })
  }
}

interface Watch {
  /** What the console said, or was loaded, that should not have been. */
  complaints: string[]
  /** Complaints that a test provokes itself. */
  expected: RegExp[]
}

/** Listens to every page of a context: errors on the console, and requests to anybody but the page and the API. */
function watch(context: BrowserContext, { complaints }: Watch): void {
  const known = [pageUrl, apiUrl].map(url => new URL(url).origin)
  context.on('weberror', error => complaints.push(`uncaught: ${error.error()}`))
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') {
      complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`)
    }
  })
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (!['data:', 'blob:'].includes(protocol) && !known.includes(origin)) complaints.push(`request: ${request.url()}`)
  })
}

export interface World {
  /** Opens a browser, as somebody who is logged in or as nobody. */
  open(person?: Person, options?: Parameters<Browser['newContext']>[0]): Promise<Page>
  /** Says that complaints like this one are what the test is about. */
  expectComplaint(pattern: RegExp): void
}

export const test = base.extend<{ world: World }>({
  world: async ({ browser }, use, testInfo) => {
    const contexts: BrowserContext[] = []
    const seen: Watch = { complaints: [], expected: [] }
    await use({
      async open(person, options) {
        const context = await browser.newContext({ baseURL: pageUrl, ...testInfo.project.use.contextOptions, ...options })
        contexts.push(context)
        watch(context, seen)
        const page = await context.newPage()
        if (person) {
          const session = await person.session()
          await page.goto('/login')
          await page.evaluate(kept => localStorage.setItem('streamify.session', kept), session)
          await page.goto('/')
          await isLive(page)
        }
        return page
      },
      expectComplaint: pattern => void seen.expected.push(pattern),
    })
    await Promise.all(contexts.map(context => context.close()))
    const unexpected = seen.complaints.filter(complaint => !seen.expected.some(pattern => pattern.test(complaint)))
    expect(unexpected, 'nothing complains, and nobody else is asked').toEqual([])
  },
})

export { expect }

export async function isLive(page: Page): Promise<void> {
  await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'connected', { timeout: 20_000 })
}

/** The toast that tells of this video. */
export function toastOf(page: Page, title: string): Locator {
  return page.getByTestId('new-video-toast').filter({ hasText: title })
}

export async function logIn(page: Page, person: Person): Promise<void> {
  await page.getByLabel('Email').fill(person.email)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

/** Presses Tab until something has the focus, as somebody without a mouse would. */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    if (await target.evaluate(element => element === document.activeElement)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`${target} can’t be reached with the Tab key`)
}
