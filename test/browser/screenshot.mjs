/**
 * Takes the picture of the page that the README shows: node test/browser/screenshot.mjs <gateway URL> [file] [width] [light|dark].
 * The mesh is up to the caller; the page is asked two questions first.
 */
import { chromium } from 'playwright-core';

const [url, file = 'docs/screenshot.png', width = '1280', colorScheme = 'light'] = process.argv.slice(2);
if (!url) throw new Error('Usage: node test/browser/screenshot.mjs <gateway URL> [file] [width] [light|dark]');

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const page = await browser.newPage({ viewport: { width: Number(width), height: 800 }, colorScheme });
  await page.goto(url);
  for (const question of ['What happens if I join late?', 'How do I get started?']) {
    await page.getByLabel('Your question').fill(question);
    await page.keyboard.press('Enter');
    await page.locator('.turn:last-child .facts', { hasText: 'tokens' }).waitFor();
  }
  await page.locator('#engine-word', { hasText: /^ready$/ }).waitFor();
  await page.waitForTimeout(300);
  await page.screenshot({ path: file });
} finally {
  await browser.close();
}
