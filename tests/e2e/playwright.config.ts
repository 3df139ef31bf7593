import { execFileSync } from 'node:child_process'
import { defineConfig, devices } from '@playwright/test'

// The system's Chromium: Playwright's own would be a download of hundreds of megabytes.
const chromium = execFileSync('sh', ['-c', 'command -v chromium || command -v chromium-browser || command -v google-chrome'], { encoding: 'utf8' }).trim()

export default defineConfig({
  testDir: '.',
  testIgnore: 'screenshots/**',
  outputDir: '../../test-results',
  timeout: 60_000,
  workers: 1,
  retries: 0,
  forbidOnly: true,
  reporter: 'list',
  use: {
    ...devices['Desktop Chrome'],
    baseURL: process.env.STREAMIFY_PAGE_URL ?? 'http://localhost:3000',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: chromium,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
  },
})
