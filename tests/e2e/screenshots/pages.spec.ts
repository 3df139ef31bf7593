import { isLive, Person, test, toastOf } from '../support'

const folder = process.env.SCREENSHOTS ?? '../../test-results/screenshots'
const videos = [
  ['A walk by the sea', 'From the pier to the lighthouse, in the last light of the day.'],
  ['Sharpening a chisel', 'Three stones, ten minutes, and the mistake everybody makes once.'],
  ['The quiet valley', 'A morning in October, filmed from the ridge.'],
  ['Bread without kneading', 'Flour, water, salt, and a night in the fridge.'],
  ['Night train to Lisbon', 'Eleven hours in two minutes.'],
] as const

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [size, viewport] of [['desk', { width: 1280, height: 820 }], ['phone', { width: 390, height: 844 }]] as const) {
    test(`every page, ${colorScheme}, on a ${size}`, async ({ world }) => {
      test.slow()
      world.expectComplaint(/./)
      const take = (name: string) => page.screenshot({ path: `${folder}/${name}-${size}-${colorScheme}.png` })
      const ada = await Person.register('Ada')
      const grace = await Person.register('Grace')
      const added = []
      for (const [title, description] of videos) added.push(await grace.addVideo(title, 'https://media.example.com/video.mp4', description))
      const outside = await world.open(undefined, { colorScheme, viewport })
      let page = outside
      for (const path of ['login', 'register']) {
        await page.goto(`/${path}`)
        await page.getByRole('heading', { level: 1 }).waitFor()
        await take(path)
      }
      page = await world.open(ada, { colorScheme, viewport })
      await page.getByRole('article').first().waitFor()
      await isLive(page)
      const title = `Harbour at dawn ${size} ${colorScheme}`
      await grace.addVideo(title, 'https://media.example.com/video.mp4', 'Fog, gulls, and the first ferry.')
      await toastOf(page, title).waitFor()
      await page.waitForTimeout(800)
      await take('list')
      await page.goto(`/videos/${added[0]!.id}`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.waitForTimeout(800)
      await take('video')
      await page.goto('/videos/new')
      await page.getByRole('button', { name: 'Add video' }).click()
      await page.getByTestId('error-summary').waitFor()
      await take('add')
    })
  }
}
