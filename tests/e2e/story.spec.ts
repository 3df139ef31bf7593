import AxeBuilder from '@axe-core/playwright'
import { type Browser, type Page, expect, test } from '@playwright/test'

const password = 'a long enough password'
const unique = () => `${Date.now()}-${Math.random().toString(36).slice(2, 8)}`

/** A window of its own, as another person has, that fails the test on errors and on strange requests. */
async function person(browser: Browser, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
  const page = await (await browser.newContext({ colorScheme })).newPage()
  const own = [process.env.STREAMIFY_PAGE_URL ?? 'http://localhost:3000', process.env.STREAMIFY_API_URL ?? 'http://localhost:3001']
  page.on('pageerror', error => { throw error })
  page.on('request', (request) => {
    const url = request.url()
    // The video itself is wherever people say that it is.
    if (request.resourceType() !== 'media' && !own.some(base => url.startsWith(base)) && !url.startsWith('data:')) {
      throw new Error(`a request to a stranger: ${url}`)
    }
  })
  return page
}

async function register(page: Page, name: string): Promise<void> {
  await page.goto('/register')
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Email').fill(`${unique()}@example.com`)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page).toHaveURL(url => url.pathname === '/')
}

async function isAccessible(page: Page): Promise<void> {
  // Colours are compared when they have come to rest.
  await page.waitForTimeout(700)
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(node => node.html) }))).toEqual([])
}

test('a video added in one window is a toast in another', async ({ browser }) => {
  const [ada, grace] = await Promise.all([person(browser), person(browser)])
  await register(ada, 'Ada')
  await register(grace, 'Grace')
  const title = `By the sea ${unique()}`

  await ada.goto('/videos/new')
  await ada.getByLabel('Title').fill(title)
  await ada.getByLabel(/address|link|url/i).fill('https://example.com/sea.mp4')
  await ada.getByRole('button', { name: /add video/i }).click()
  await expect(ada).toHaveURL(/\/videos\/[0-9a-f-]{36}$/)

  const toast = grace.locator('[data-sonner-toast]').filter({ hasText: title })
  await expect(toast).toBeVisible()
  await toast.getByRole('link').first().click()
  await expect(grace).toHaveURL(/\/videos\/[0-9a-f-]{36}$/)
  await expect(grace.getByRole('heading', { level: 1 })).toHaveText(title)

  await grace.goto('/')
  await grace.reload()
  await grace.getByRole('searchbox').fill(title)
  await expect(grace.getByRole('link', { name: title })).toHaveCount(1)
})

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every page is accessible in ${colorScheme}`, async ({ browser }) => {
    const page = await person(browser, colorScheme)
    for (const path of ['/login', '/register']) {
      await page.goto(path)
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      await isAccessible(page)
    }
    await register(page, 'Katherine')
    await isAccessible(page)
    await page.goto('/videos/new')
    await isAccessible(page)
    await page.getByLabel('Title').fill('Orbits')
    await page.getByLabel(/address|link|url/i).fill('https://example.com/orbits.mp4')
    await page.getByRole('button', { name: /add video/i }).click()
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Orbits')
    await isAccessible(page)
  })
}

test('a form keeps what was typed, and says which field is wrong', async ({ browser }) => {
  const page = await person(browser)
  await register(page, 'Mary')
  await page.goto('/videos/new')
  await page.getByLabel('Title').fill('Rockets')
  await page.getByLabel(/address|link|url/i).fill('not an address')
  await page.getByRole('button', { name: /add video/i }).click()
  await expect(page.getByLabel(/address|link|url/i)).toHaveAttribute('aria-invalid', 'true')
  await expect(page.getByLabel('Title')).toHaveValue('Rockets')
})
