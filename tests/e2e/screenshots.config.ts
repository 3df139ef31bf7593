import story from './playwright.config'

// Pictures of every page: `./run.sh --config screenshots.config.ts`. They are looked at, not compared.
export default { ...story, testDir: './screenshots', testIgnore: [], outputDir: '../../test-results/screenshots' }
