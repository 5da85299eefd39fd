/** A real browser, where the machine has one. */
import { existsSync } from 'node:fs'
import { type Browser, type Page, chromium as playwright } from 'playwright-core'

/** Where Debian has it; undefined if it is not on this machine. */
export const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

export interface Tab {
  readonly page: Page
  /** What the page threw, and what its policy refused. */
  readonly problems: readonly string[]
}

/** Playwright makes a profile of its own for each, and takes it away. */
export const openBrowser = (): Promise<Browser> =>
  playwright.launch({ executablePath: chromium ?? '', args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })

export async function openTab(browser: Browser): Promise<Tab> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  const problems: string[] = []
  page.on('pageerror', ({ message }) => problems.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  return { page, problems }
}
