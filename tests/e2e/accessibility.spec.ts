import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { expect, isLive, Person, test, toastOf, unique, type World } from './support'

/**
 * No rule of WCAG 2.2 A and AA, nor a best practice, is broken. News may come while the page is looked at, and colours
 * can't be measured in something that fades in: the page is looked at again then, and what is wrong with it is still there.
 */
async function isAccessible(page: Page, what: string): Promise<void> {
  await expect(async () => {
    await page.evaluate(async () => {
      const ending = document.getAnimations().filter(animation => animation.effect?.getComputedTiming().endTime !== Infinity)
      await Promise.allSettled(ending.map(animation => animation.finished))
    })
    const { violations } = await new AxeBuilder({ page })
      .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
      .analyze()
    expect(violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(node => node.failureSummary + node.html) })), what).toEqual([])
  }).toPass({ timeout: 6_000 })
}

async function outside(world: World, options: Parameters<World['open']>[1]): Promise<void> {
  const page = await world.open(undefined, options)
  for (const [path, button] of [['/login', 'Log in'], ['/register', 'Create account']] as const) {
    await page.goto(path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await isAccessible(page, path)
    await page.getByRole('button', { name: button }).click()
    await page.getByTestId('error-summary').waitFor()
    await isAccessible(page, `${path} with errors`)
  }
  await page.goto('/no/such/page')
  await page.getByRole('heading', { level: 1 }).waitFor()
  await isAccessible(page, 'a page that is missing')
}

async function inside(world: World, options: Parameters<World['open']>[1]): Promise<void> {
  const ada = await Person.register('Ada')
  const own = await ada.addVideo(unique('A walk by the sea'), 'https://media.example.com/a.mp4', 'From the pier')
  const site = await ada.addVideo(unique('On another site'), 'https://vimeo.com/1')
  const page = await world.open(ada, options)
  await page.getByRole('article').first().waitFor()
  await isAccessible(page, 'the list')
  const title = unique('Just added')
  await ada.addVideo(title)
  await toastOf(page, title).waitFor()
  await isAccessible(page, 'the list with a toast and an offer')
  for (let number = 0; number < 9; number++) await ada.addVideo(`${title} ${number}`)
  await page.getByTestId('new-video-toast').filter({ hasText: /\d new videos/ }).waitFor()
  await isAccessible(page, 'the list with a merged toast')
  await page.getByRole('button', { name: /^Account of/ }).click()
  await isAccessible(page, 'the account')
  await page.keyboard.press('Escape')
  await page.getByRole('searchbox').fill(unique('nothing'))
  await page.getByRole('heading', { name: /Nothing found/ }).waitFor()
  await isAccessible(page, 'a search that finds nothing')

  await page.goto(`/videos/${site.id}`)
  await page.getByRole('link', { name: /Watch on/ }).waitFor()
  await isAccessible(page, 'a video on another site')
  await page.goto(`/videos/${own.id}`)
  await page.getByRole('button', { name: 'Delete' }).waitFor()
  await isAccessible(page, 'a video')
  await page.getByRole('button', { name: 'Delete' }).click()
  await isAccessible(page, 'the question before deleting')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Edit' }).click()
  await isAccessible(page, 'editing')
  await page.goto('/videos/new')
  await page.getByRole('button', { name: 'Add video' }).click()
  await page.getByTestId('error-summary').waitFor()
  await isAccessible(page, 'adding, with errors')
  await page.goto('/videos/0190f5fe-7c00-7a00-8000-000000000000')
  await page.getByRole('heading', { name: 'There is no such video' }).waitFor()
  await isAccessible(page, 'a video that is missing')

  await page.goto('/')
  await isLive(page)
  await page.context().setOffline(true)
  await expect(page.getByTestId('connection')).toHaveText('Offline')
  await isAccessible(page, 'offline')
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [size, viewport] of [['a phone', { width: 390, height: 844 }], ['a desk', { width: 1280, height: 860 }]] as const) {
    test(`every page is accessible: ${colorScheme}, on ${size}`, async ({ world }) => {
      test.slow()
      world.expectComplaint(/NUXT_|status of 404|Page not found/)
      await outside(world, { colorScheme, viewport })
      await inside(world, { colorScheme, viewport })
    })
  }
}

test('nothing moves for those who asked for that', async ({ world }) => {
  const page = await world.open(undefined, { reducedMotion: 'reduce' })
  await page.goto('/login')
  await page.getByRole('heading', { level: 1 }).waitFor()
  const longest = await page.evaluate(() => Math.max(0, ...[...document.querySelectorAll('*')].map((element) => {
    const { animationDuration, transitionDuration } = getComputedStyle(element)
    return Math.max(...`${animationDuration},${transitionDuration}`.split(',').map(text => Number.parseFloat(text)))
  })))
  expect(longest).toBeLessThanOrEqual(0.001)
})

test('the page is narrow enough for the smallest phone, and for text twice as large', async ({ world }) => {
  const ada = await Person.register('Ada')
  const video = await ada.addVideo(`${unique('x')}${'averylongwordwithoutaspace'.repeat(5)}`, `https://media.example.com/${'y'.repeat(200)}.mp4`)
  const page = await world.open(ada, { viewport: { width: 320, height: 640 } })
  for (const path of ['/', '/videos/new', `/videos/${video.id}`]) {
    await page.goto(path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    expect(width, path).toBeLessThanOrEqual(320)
  }
})
