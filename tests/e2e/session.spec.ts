import { expect, isLive, logIn, Person, test, unique } from './support'

const sessionKey = 'streamify.session'

test('a deep link survives the login, and the session a reload', async ({ world }) => {
  const ada = await Person.register('Ada')
  const page = await world.open()
  await page.goto('/videos/new')
  await expect(page).toHaveURL(/\/login\?redirect=/)
  await logIn(page, ada)
  await expect(page.getByRole('heading', { level: 1, name: 'Add a video' })).toBeVisible()
  await page.reload()
  await expect(page.getByRole('heading', { level: 1, name: 'Add a video' })).toBeVisible()
  await isLive(page)
})

test('two tabs whose token has expired refresh it once, and both stay', async ({ world }) => {
  const first = await world.open(await Person.register('Ada'))
  const context = first.context()
  const second = await context.newPage()
  await second.goto('/')
  await isLive(second)
  let refreshes = 0
  context.on('request', request => (refreshes += request.url().endsWith('/api/auth/refresh') && request.method() === 'POST' ? 1 : 0))
  await first.evaluate((key) => {
    const session = JSON.parse(localStorage.getItem(key)!)
    localStorage.setItem(key, JSON.stringify({ ...session, expires_at: 0 }))
  }, sessionKey)
  await Promise.all([first.reload(), second.reload()])
  await Promise.all([isLive(first), isLive(second)])
  expect(refreshes).toBe(1)
  for (const page of [first, second]) {
    await page.reload()
    await isLive(page)
    await expect(page.getByRole('heading', { level: 1, name: 'Videos' })).toBeVisible()
  }
  expect(refreshes).toBe(1)
})

test('a token that the server refuses is renewed without anybody noticing', async ({ world }) => {
  world.expectComplaint(/status of 401/)
  const page = await world.open(await Person.register('Ada'))
  await page.evaluate((key) => {
    const session = JSON.parse(localStorage.getItem(key)!)
    localStorage.setItem(key, JSON.stringify({ ...session, access_token: 'refused' }))
  }, sessionKey)
  await page.reload()
  await isLive(page)
  await expect(page.getByRole('heading', { level: 1, name: 'Videos' })).toBeVisible()
})

test('a session that the server ends costs nothing that was typed', async ({ world }) => {
  world.expectComplaint(/status of 401/)
  const ada = await Person.register('Ada')
  const page = await world.open(ada)
  const title = unique('Half-written')
  await page.getByRole('link', { name: 'Add video' }).click()
  await page.getByLabel('Video address').fill('https://media.example.com/half.mp4')
  await page.getByLabel('Title').fill(title)
  await page.evaluate((key) => {
    const session = JSON.parse(localStorage.getItem(key)!)
    localStorage.setItem(key, JSON.stringify({ ...session, access_token: 'refused', refresh_token: 'refused' }))
  }, sessionKey)
  await page.getByRole('button', { name: 'Add video' }).click()
  await expect(page.getByText('Your session has ended.')).toBeVisible()
  await logIn(page, ada)
  await expect(page.getByLabel('Title')).toHaveValue(title)
  await page.getByRole('button', { name: 'Add video' }).click()
  await expect(page.getByRole('heading', { level: 1, name: title })).toBeVisible()
})

test('who logs out in one tab is logged out in all', async ({ world }) => {
  const first = await world.open(await Person.register('Ada'))
  const second = await first.context().newPage()
  await second.goto('/')
  await isLive(second)
  await first.getByRole('button', { name: /^Account of/ }).click()
  await first.getByRole('button', { name: 'Log out' }).click()
  await expect(first).toHaveURL(/\/login$/)
  await expect(second).toHaveURL(/\/login/)
})

test('the chosen theme stays', async ({ world }) => {
  const page = await world.open(undefined, { colorScheme: 'light' })
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  await page.goto('/login')
  const light = await ground()
  await page.getByText('Dark', { exact: true }).click()
  const dark = await ground()
  expect(dark).not.toBe(light)
  await page.reload()
  expect(await ground()).toBe(dark)
  await page.getByText('System', { exact: true }).click()
  expect(await ground()).toBe(light)
})
