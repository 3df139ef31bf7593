import { expect, isLive, Person, test, toastOf, unique } from './support'

test('a browser that was offline is told what it missed', async ({ world }) => {
  // The browser itself complains, of whatever was on its way when the network went.
  world.expectComplaint(/ERR_INTERNET_DISCONNECTED/)
  const ada = await Person.register('Ada')
  // In an empty list a new video is shown at once, where nothing is that could move.
  await ada.addVideo(unique('There already'))
  // Who comes back is told again of what came in other partitions in the last five seconds before; not of this one.
  await new Promise(resolve => setTimeout(resolve, 5_500))
  const page = await world.open(await Person.register('Grace'))
  const before = unique('Before the gap')
  await ada.addVideo(before)
  await expect(toastOf(page, before)).toBeVisible()

  await page.context().setOffline(true)
  await expect(page.getByTestId('connection')).toHaveText('Offline')
  const missed = [unique('Missed one'), unique('Missed two')]
  for (const title of missed) await ada.addVideo(title)
  for (const title of missed) await expect(toastOf(page, title)).toHaveCount(0)
  await page.context().setOffline(false)
  await isLive(page)
  for (const title of missed) await expect(toastOf(page, title)).toBeVisible()
  await expect(page.getByTestId('show-new')).toContainText('3 new videos')
  await page.getByTestId('show-new').click()
  for (const title of [before, ...missed]) await expect(page.getByRole('article').filter({ hasText: title })).toBeVisible()
  await expect(page.getByRole('article').first()).toContainText(missed[1]!)
  await expect(page.getByRole('article').first().getByRole('link')).toBeFocused()
})

test('a page that was away resumes from the last event it saw, each one told once', async ({ world }) => {
  const ada = await Person.register('Ada')
  const page = await world.open(await Person.register('Grace'))
  const seen = unique('Seen before')
  await ada.addVideo(seen)
  await expect(toastOf(page, seen)).toBeVisible()
  await page.goto('about:blank')
  const missed = unique('Added meanwhile')
  await ada.addVideo(missed)
  await page.goto('/')
  await isLive(page)
  await expect(toastOf(page, missed)).toHaveCount(1)
  await expect(toastOf(page, seen)).toHaveCount(0)
})

test('a hundred videos at once don’t bury the page', async ({ world }) => {
  const ada = await Person.register('Ada')
  const page = await world.open(await Person.register('Grace'))
  const name = unique('Burst')
  await Promise.all(Array.from({ length: 10 }, async (_, worker) => {
    for (let number = 0; number < 10; number++) await ada.addVideo(`${name} ${worker}.${number}`)
  }))
  await expect(page.getByTestId('show-new')).toHaveText('100 new videos')
  expect(await page.getByTestId('new-video-toast').count()).toBeLessThanOrEqual(4)
  const merged = page.getByTestId('new-video-toast').filter({ hasText: /\d\d new videos/ })
  await merged.getByRole('link').click()
  await expect(page.getByRole('article').filter({ hasText: name })).toHaveCount(100)
  await expect(page.getByTestId('show-new')).toBeHidden()
})
