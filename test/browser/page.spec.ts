/** The page in a real browser against a real mesh: with the built-in engine, and with a slow one that misbehaves on request. */
/// <reference lib="dom" />
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { connectBus } from '#bus';
import { HardwareChanged } from '#contracts';
import { HardwareReader } from '#hardware';
import { type RunningServer, embeddedBroker } from '../conformance/support/servers.js';
import { freePort } from '../support/free-port.js';
import { type LoneApp, startLone } from '../support/lone-apps.js';
import type { Program } from '../support/program.js';
import { recordedMachine } from '../support/recorded-machine.js';
import { bundled } from './bundled.js';
import { CHROMIUM, type OpenPage, launchChromium, openPage } from './chromium.js';
import { cuttableLink } from './cuttable-link.js';
import { type RunningMesh, startMesh } from './running-mesh.js';
import { LONG, type SlowOllama, slowOllama } from './slow-ollama.js';

const WAIT_MS = 15_000;
const guideAnswers = new Map(
  (JSON.parse(readFileSync('apps/embedded-engine/models/questions.json', 'utf8')) as { question: string; answer: string }[]).map(({ question, answer }) => [question, answer]),
);

if (!CHROMIUM) {
  if (process.env['CI'] === 'true') throw new Error('No Chromium was found, and CI must not skip the page.');
  process.stderr.write('test/browser is skipped: no chromium on PATH.\n');
}

async function ask(page: Page, question: string): Promise<void> {
  await page.getByLabel('Your question').fill(question);
  await page.keyboard.press('Enter');
}

const lastAnswer = (page: Page) => page.locator('.answer').last();
const ended = (page: Page) => lastAnswer(page).locator('.facts:not(:empty)').waitFor({ timeout: WAIT_MS });
const cancelled = (page: Page) => lastAnswer(page).locator('.facts', { hasText: 'cancelled' }).waitFor({ timeout: WAIT_MS });
const watchLink = async (page: Page) => {
  await lastAnswer(page).getByRole('button', { name: 'Let others watch' }).click();
  return page.getByLabel('Link to watch this answer').inputValue();
};

/** The lengths that the answer's text goes through from now on. */
async function recordGrowth(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const lengths: number[] = [];
    Object.assign(globalThis, { lengths });
    new MutationObserver(() => {
      const { length } = [...document.querySelectorAll('.answer .prose')].map(({ textContent }) => textContent).join('');
      if (length > (lengths.at(-1) ?? 0)) lengths.push(length);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  return () => page.evaluate(() => (globalThis as unknown as { lengths: number[] }).lengths);
}

const overflow = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

(CHROMIUM ? describe : describe.skip)('page', () => {
  let browser: Browser;
  const opened: OpenPage[] = [];
  const open = async (url: string, options = {}) => {
    const one = await openPage(browser, url, options);
    opened.push(one);
    return one.page;
  };
  /** What is expected to go wrong in a test, as complaints contain it. */
  let expected: RegExp | undefined;

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    const pages = opened.splice(0);
    for (const { page } of pages) await page.context().close();
    const complaints = pages.flatMap((one) => one.complaints).filter((complaint) => !expected?.test(complaint));
    expected = undefined;
    expect(complaints).toEqual([]);
  });

  describe('where API keys are asked for', () => {
    const key = 'a-key-for-this-page';
    let mesh: RunningMesh;
    beforeAll(async () => {
      mesh = await startMesh({ OLLAMESH_GATEWAY_KEYS: JSON.stringify([{ name: 'page', hash: createHash('sha256').update(key).digest('hex') }]) });
    }, 90_000);
    afterAll(() => mesh?.stop());

    it('key: is asked for once and kept; who was sent a link to watch needs none', async () => {
      expected = /401/; // The browser's own complaint.
      const page = await open(mesh.url);
      const field = page.getByLabel('Yours, from whoever runs it');
      await field.fill('wrong');
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.locator('#key-problem', { hasText: 'not one of this gateway' }).waitFor({ timeout: WAIT_MS });
      await field.fill(key);
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.locator('#engine-word', { hasText: /^ready$/ }).waitFor({ timeout: WAIT_MS });
      await ask(page, 'Tell me a short story.');
      await ended(page);
      const guest = await open(await watchLink(page));
      await guest.locator('#watch-answer .prose', { hasText: guideAnswers.get('Tell me a short story.')!.slice(0, 20) }).waitFor({ timeout: WAIT_MS });
      expect(await guest.locator('#key-box').isVisible()).toBe(false);
    });
  });

  describe('with the built-in engine', () => {
    let mesh: RunningMesh;
    beforeAll(async () => {
      mesh = await startMesh();
    }, 90_000);
    afterAll(() => mesh?.stop());

    it('chat: an answer ends as the exact text, with its figures', async () => {
      const page = await open(mesh.url);
      await ask(page, 'Tell me a short story.');
      await ended(page);
      expect(await lastAnswer(page).locator('.prose').innerText()).toBe(guideAnswers.get('Tell me a short story.'));
      expect(await lastAnswer(page).locator('.facts').innerText()).toMatch(/^\d+ tokens · \d+ tokens\/s$/);
      expect(await page.getByLabel('Your question').inputValue()).toBe('');
    });

    it('chat: a list in an answer becomes a list', async () => {
      const page = await open(mesh.url);
      await page.getByRole('button', { name: 'How do I get started?' }).click();
      await ended(page);
      const items = guideAnswers.get('How do I get started?')!.split('\n').slice(1).map((line) => line.replace(/^\d+\. /, ''));
      expect(await lastAnswer(page).locator('ol > li').allInnerTexts()).toEqual(items);
    });

    it('delivery: files are compressed and kept for ever, the page itself is asked for anew, and nothing inline may run', async () => {
      const headersOf = async (path: string, encoding: string) => {
        const response = await fetch(mesh.url + path, { headers: { accept: 'text/html', 'accept-encoding': encoding } });
        return { text: await response.text(), headers: Object.fromEntries(response.headers) };
      };
      const { text, headers } = await headersOf('/', 'gzip, deflate, br');
      expect(headers).toMatchObject({ 'content-encoding': 'br', 'cache-control': 'no-cache', 'content-type': expect.stringContaining('text/html') });
      expect(headers['content-security-policy']).toContain("script-src 'self'; style-src 'self';");
      const files = [...text.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path]) => path!);
      expect(files.map((path) => path.replace(/.*\./, ''))).toEqual(expect.arrayContaining(['js', 'css', 'svg']));
      for (const path of files) {
        expect((await headersOf(path, 'gzip')).headers).toMatchObject({ 'content-encoding': 'gzip', 'cache-control': expect.stringContaining('immutable') });
        const plain = await headersOf(path, 'identity');
        expect(plain.headers).not.toHaveProperty('content-encoding');
        expect((await headersOf(path, 'br')).text).toBe(plain.text);
      }
    });

    it('reload: the conversation is shown again, and the model is told of it', async () => {
      const page = await open(mesh.url);
      await ask(page, 'What is NATS?');
      await ended(page);
      await page.reload();
      await ended(page);
      expect(await lastAnswer(page).locator('.prose').innerText()).toBe(guideAnswers.get('What is NATS?'));
      await page.getByRole('button', { name: 'Answer again' }).click();
      await page.waitForFunction(() => document.querySelectorAll('.answer').length === 1);
      await ended(page);
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.reload();
      expect(await page.locator('.answer').count()).toBe(0);
    });

    it('models: the built-in one is listed, chosen and said to be tiny', async () => {
      const page = await open(mesh.url);
      await page.locator('#model option', { hasText: 'guide:latest' }).waitFor({ state: 'attached', timeout: WAIT_MS });
      expect(await page.getByLabel('Model', { exact: true }).inputValue()).toBe('guide:latest');
      await page.locator('#guide-note', { hasText: 'guide is a tiny built-in model' }).waitFor({ timeout: WAIT_MS });
    });

    it('mesh: the engine is ready, and the details say why and on what', async () => {
      const page = await open(mesh.url);
      await page.locator('#engine-word', { hasText: /^ready$/ }).waitFor({ timeout: WAIT_MS });
      await page.getByRole('button', { name: /^Engine/ }).click();
      const details = await page.locator('#mesh-details').innerText();
      for (const word of ['embedded', 'chosen', 'external', 'CPU', 'Memory', 'GPU']) expect(details).toContain(word);
      await page.keyboard.press('Escape');
      expect(await page.locator('#mesh-details').isVisible()).toBe(false);
    });

    it('watch: an ended answer is there by its link, and a link to nothing says so', async () => {
      const page = await open(mesh.url);
      await ask(page, 'What is NATS?');
      await ended(page);
      const watcher = await open(await watchLink(page));
      await watcher.locator('#watch-badge', { hasText: 'ended' }).waitFor({ timeout: WAIT_MS });
      expect(await watcher.locator('.prose').innerText()).toBe(guideAnswers.get('What is NATS?'));
      expect(await watcher.locator('#watch-head').innerText()).toMatch(/guide:latest\s+position 1-\d+/);
      const lost = await open(`${mesh.url}/watch/AAAAAAAAAAAAAAAAAAAAAA`);
      await lost.getByRole('heading', { name: 'Nothing to watch here' }).waitFor({ timeout: WAIT_MS });
      await lost.getByRole('link', { name: 'Ask something yourself' }).click();
      expect(await lost.getByLabel('Your question').isVisible()).toBe(true);
      expect(new URL(lost.url()).pathname).toBe('/');
    });

    it('mesh: charts are live, a measured model has its bar, and what happened is listed', async () => {
      const page = await open(mesh.url);
      await page.keyboard.press('Tab'); // Out of the question, which has the focus.
      await page.locator('#engine-word', { hasText: /^ready$/ }).waitFor({ timeout: WAIT_MS });
      await page.locator('#model option', { hasText: 'guide:latest' }).waitFor({ state: 'attached', timeout: WAIT_MS });
      await page.keyboard.press('e');
      await page.locator('.chart', { hasText: 'CPU' }).locator('polyline[points]').waitFor({ state: 'attached', timeout: WAIT_MS });
      expect(await page.locator('.chart', { hasText: 'Memory' }).locator('strong').innerText()).toMatch(/^[\d.]+ \w+ of [\d.]+ \w+$/);
      await page.getByRole('button', { name: 'Measure the chosen one' }).click();
      await page.locator('#benchmarks li', { hasText: 'guide:latest' }).waitFor({ timeout: WAIT_MS });
      expect(await page.locator('#benchmarks li').innerText()).toMatch(/\d tokens\/s\s+first token after [\d.]+ ms/);
      expect(await page.locator('#events').innerText()).toMatch(/Engine \(embedded\) ready/);
    });

    it('pull: a model that does not exist fails with the reason', async () => {
      const page = await open(mesh.url);
      await page.getByRole('button', { name: 'Get a model' }).click();
      await page.keyboard.type('127.0.0.1:1/nobody/has-this');
      await page.keyboard.press('Enter');
      await page.locator('#pulls .is-problem', { hasText: 'nobody/has-this:latest' }).waitFor({ timeout: WAIT_MS });
    });

    it('layout: nothing overflows sideways, wide or narrow, light or dark', async () => {
      for (const colorScheme of ['light', 'dark'] as const) {
        const page = await open(mesh.url, { viewport: { width: 360, height: 700 }, colorScheme });
        expect(await overflow(page)).toBe(0);
        await ask(page, 'What is NATS?');
        await ended(page);
        await watchLink(page);
        expect(await overflow(page)).toBe(0);
        await page.setViewportSize({ width: 1280, height: 800 });
        expect(await overflow(page)).toBe(0);
      }
      const grounds = await Promise.all(opened.map(({ page }) => page.evaluate(() => getComputedStyle(document.body).backgroundColor)));
      expect(grounds).toEqual(['rgb(250, 249, 247)', 'rgb(22, 23, 24)']);
    });

    it('layout: the end of an answer is in view, however much is above it', async () => {
      const page = await open(mesh.url, { viewport: { width: 390, height: 600 } });
      for (const question of ['What happens if I join late?', 'How do I get started?', 'What is NATS?']) {
        await ask(page, question);
        await ended(page);
        await page.waitForFunction(() => document.documentElement.scrollTop + document.documentElement.clientHeight > document.documentElement.scrollHeight - 1, undefined, { timeout: WAIT_MS });
      }
      expect(await page.evaluate(() => document.documentElement.scrollTop)).toBeGreaterThan(0);
    });

    it('keyboard: a chat is possible without a pointer, and Shift+Enter is a new line', async () => {
      const page = await open(mesh.url);
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('question');
      await page.keyboard.type('What is');
      await page.keyboard.press('Shift+Enter');
      await page.keyboard.type('NATS?');
      expect(await page.getByLabel('Your question').inputValue()).toBe('What is\nNATS?');
      expect(await page.locator('.answer').count()).toBe(0);
      const unnamed = await page.evaluate(() =>
        [...document.querySelectorAll('button, input, select, textarea')].filter(
          (control) => !control.textContent?.trim() && !control.getAttribute('aria-label') && !(control as HTMLInputElement).labels?.length,
        ).length,
      );
      expect(unnamed).toBe(0);
    });
  });

  describe('with a slow engine', () => {
    let engine: SlowOllama;
    let mesh: RunningMesh;
    beforeAll(async () => {
      engine = await slowOllama();
      mesh = await startMesh({ OLLAMESH_ENGINE_URL: engine.url });
    }, 90_000);
    afterAll(async () => {
      await mesh?.stop();
      await engine?.close();
    });

    it('watch: an answer grows in several steps; a second page sees it from its start, live, and the same end', async () => {
      const page = await open(mesh.url);
      const growth = await recordGrowth(page);
      await ask(page, 'a long one');
      await lastAnswer(page).getByText('word5').waitFor({ timeout: WAIT_MS });
      const watcher = await open(await watchLink(page));
      await watcher.locator('#watch-badge', { hasText: 'live' }).waitFor({ timeout: WAIT_MS });
      expect(await watcher.locator('.prose').innerText()).toMatch(/^word0 word1 /);
      await watcher.locator('#watch-badge', { hasText: 'ended' }).waitFor({ timeout: WAIT_MS });
      await ended(page);
      expect(await watcher.locator('.prose').innerText()).toBe(LONG);
      expect(await lastAnswer(page).locator('.prose').innerText()).toBe(LONG);
      expect((await growth()).length).toBeGreaterThan(1);
    });

    it('layout: a growing answer stays in view to its end, unless its reader scrolls up', async () => {
      const release = engine.holdAfter(60);
      try {
        const page = await open(mesh.url, { viewport: { width: 390, height: 300 } });
        const atEnd = () => page.waitForFunction(() => document.documentElement.scrollTop + document.documentElement.clientHeight > document.documentElement.scrollHeight - 1, undefined, { timeout: WAIT_MS });
        await ask(page, 'a long one');
        await lastAnswer(page).getByText('word59').waitFor({ timeout: WAIT_MS });
        await atEnd();
        const height = await page.evaluate(() => document.documentElement.scrollHeight);
        await page.evaluate(() => scrollTo(0, 0));
        release();
        await ended(page);
        const [top, grown] = await page.evaluate(() => [document.documentElement.scrollTop, document.documentElement.scrollHeight] as const);
        expect(top).toBe(0);
        expect(grown).toBeGreaterThan(height);
        await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
        await ask(page, 'a long one');
        await ended(page);
        await atEnd();
      } finally {
        release();
      }
    });

    it('reload: an answer that was running goes on, whole, and can still be stopped', async () => {
      const page = await open(mesh.url);
      await ask(page, 'a long one');
      await lastAnswer(page).getByText('word5').waitFor({ timeout: WAIT_MS });
      await page.reload();
      await lastAnswer(page).getByText('word9').waitFor({ timeout: WAIT_MS });
      expect(await lastAnswer(page).locator('.prose').innerText()).toMatch(/^word0 word1 /);
      await page.getByRole('button', { name: 'Stop' }).click();
      await cancelled(page);
    });

    it('stop: ends a long answer, keeps what came, and says cancelled', async () => {
      const page = await open(mesh.url);
      await ask(page, 'a long one');
      await lastAnswer(page).getByText('word5').waitFor({ timeout: WAIT_MS });
      await page.getByRole('button', { name: 'Stop' }).click();
      await cancelled(page);
      expect((await lastAnswer(page).locator('.prose').innerText()).length).toBeLessThan(LONG.length);
      expect(await page.getByRole('button', { name: 'Send' }).isVisible()).toBe(true);
    });

    it('connection: cut in the middle of an answer, the page says so, and goes on without a gap', async () => {
      const link = await cuttableLink(mesh.url);
      expected = /ERR_|WebSocket|Failed to load/;
      const release = engine.holdAfter(60);
      try {
        const page = await open(link.url);
        await ask(page, 'a long one');
        await lastAnswer(page).getByText('word59').waitFor({ timeout: WAIT_MS });
        link.cut(); // Nothing is missing then: what says that the connection is back is not what comes of it.
        await page.getByText('The connection is lost').waitFor({ timeout: WAIT_MS });
        link.mend();
        await page.getByText('Connected again; the answer goes on where it was.').waitFor({ timeout: WAIT_MS });
        release();
        await ended(page);
        expect(await lastAnswer(page).locator('.prose').innerText()).toBe(LONG);
        expect(await page.getByText('The connection is lost').isVisible()).toBe(false);
      } finally {
        release();
        await link.close();
      }
    });

    it('connection: after a crash of the mesh the answer is said to be lost, and can be asked again', async () => {
      expected = /ERR_|WebSocket|Failed to load|404|503/;
      const first = await startMesh({ OLLAMESH_ENGINE_URL: engine.url });
      const page = await open(first.url);
      try {
        await ask(page, 'a long one');
        await lastAnswer(page).getByText('word5').waitFor({ timeout: WAIT_MS });
      } finally {
        await first.crash();
      }
      const second = await startMesh({ OLLAMESH_ENGINE_URL: engine.url, OLLAMESH_GATEWAY_PORT: new URL(first.url).port });
      try {
        expect(second.url).toBe(first.url);
        await lastAnswer(page).getByText('The mesh was restarted').waitFor({ timeout: WAIT_MS });
        await lastAnswer(page).getByRole('button', { name: 'Try again' }).click({ timeout: WAIT_MS });
        await ended(page);
        expect(await lastAnswer(page).locator('.prose').innerText()).toBe(LONG);
      } finally {
        await second.stop();
      }
    }, 60_000);

    it('markdown: what a model writes runs nothing, loads nothing and leaves code to copy', async () => {
      const page = await open(mesh.url);
      await ask(page, 'the traps');
      await ended(page);
      const prose = lastAnswer(page).locator('.prose');
      expect(await page.evaluate(() => (globalThis as unknown as { trapped?: number }).trapped)).toBeUndefined();
      expect(await prose.locator('img, script, [style], [onclick], [onerror]').count()).toBe(0);
      expect(await prose.locator('a').evaluateAll((links) => links.map((one) => `${one.getAttribute('href')} ${one.getAttribute('rel')}`))).toEqual([
        'null noopener noreferrer',
        'https://example.org/ noopener noreferrer',
        'https://example.org/p.png noopener noreferrer',
      ]);
      expect(await prose.innerText()).toContain('<img src=x onerror="window.trapped=1">');
      expect(await prose.locator('pre code').innerText()).toBe('const answer = 42;\n');
      expect(await prose.locator('td').count()).toBe(2);
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await prose.getByRole('button', { name: 'Copy' }).click();
      await prose.getByRole('button', { name: 'Copied' }).waitFor();
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('const answer = 42;\n');
    });

    it('markdown: the sanitiser by itself stops HTML that reached it', async () => {
      expected = /Content Security Policy/; // The last fence speaks while the sanitiser reads what the first one would have kept out.
      const page = await open(mesh.url);
      await page.evaluate(await bundled('apps/page/src/markdown.ts'));
      const html = await page.evaluate(async () => {
        const { sanitised } = (globalThis as unknown as { bundled: { sanitised(html: string): DocumentFragment } }).bundled;
        const frame = document.createElement('div');
        document.body.append(frame);
        frame.append(
          sanitised('<p>kept</p><img src=x onerror="window.trapped=1"><svg onload="window.trapped=2"></svg><b onmouseover="window.trapped=3">b</b>'),
          sanitised('<a href="javascript:window.trapped=4">j</a><a href="/docs">d</a><a href="#x">h</a><form action="/x"><input></form><p style="color:red" id="send">s</p>'),
        );
        await new Promise((done) => setTimeout(done, 200));
        return frame.innerHTML;
      });
      expect(html).toMatch(/^<p>kept<\/p><b>b<\/b>/);
      expect(html).not.toMatch(/<img|<svg|<form|<input|href|style|id=|on\w+=/);
      expect(await page.evaluate(() => (globalThis as unknown as { trapped?: number }).trapped)).toBeUndefined();
    });

    it('parts: thinking folds away when the answer begins, and tools stand apart', async () => {
      const page = await open(mesh.url);
      await ask(page, 'please think');
      await ended(page);
      expect(await page.locator('details.thinking').evaluate((details: HTMLDetailsElement) => [details.open, details.textContent?.trim()])).toEqual([false, 'ThoughtsLet me see.']);
      expect(await page.locator('.parts > .prose strong').innerText()).toBe('seven');
      await ask(page, 'use a tool');
      await ended(page);
      await page.getByText('get_weather').click();
      expect(await page.locator('.tool pre').innerText()).toContain('"city": "Bern"');
    });

    it('system prompt: is sent with every question, and kept over a reload', async () => {
      const page = await open(mesh.url);
      await page.getByRole('button', { name: 'System prompt' }).click();
      await page.keyboard.type('You are brief.');
      await page.keyboard.press('Escape');
      await page.reload();
      await ask(page, 'hello');
      await ended(page);
      expect(engine.chats.at(-1)?.messages.map(({ role, content }) => `${role}: ${content}`)).toEqual(['system: You are brief.', 'user: hello']);
    });

    it('keyboard: keys alone stop an answer, ask again, start anew, and list themselves', async () => {
      const page = await open(mesh.url);
      await page.keyboard.type('a long one?');
      await page.keyboard.press('Enter');
      await lastAnswer(page).getByText('word5').waitFor({ timeout: WAIT_MS });
      await page.keyboard.press('Escape');
      await cancelled(page);
      await page.keyboard.press('Tab');
      await page.keyboard.press('r');
      await page.getByRole('button', { name: 'Stop' }).waitFor({ timeout: WAIT_MS });
      await page.keyboard.press('Escape');
      await cancelled(page);
      await page.keyboard.press('Shift+Tab');
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await page.keyboard.press('Shift+?');
      expect(await page.locator('#keys-box').isVisible()).toBe(true);
      await page.keyboard.press('Escape');
      expect(await page.locator('#keys-box').isVisible()).toBe(false);
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await page.keyboard.press('n');
      expect(await page.locator('.answer').count()).toBe(0);
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('question');
      expect(await page.getByLabel('Your question').inputValue()).toBe('');
    });

    it('chat: a conversation is sent whole, without thinking', async () => {
      const page = await open(mesh.url);
      await ask(page, 'please think');
      await ended(page);
      await ask(page, 'and now?');
      await lastAnswer(page).getByText('You said: and now?').waitFor({ timeout: WAIT_MS });
      expect(engine.chats.at(-1)?.messages.map(({ role, content }) => `${role}: ${content}`)).toEqual(['user: please think', 'assistant: It is **seven**.', 'user: and now?']);
    });

    it('errors: a failure is said, and the same question can be asked again', async () => {
      const page = await open(mesh.url);
      engine.failNext(200, 'an error was encountered while running the model: unexpected EOF');
      await ask(page, 'are you there');
      const problem = lastAnswer(page).getByRole('alert');
      await problem.getByText('unexpected EOF').waitFor({ timeout: WAIT_MS });
      await problem.getByRole('button', { name: 'Try again' }).click();
      await lastAnswer(page).getByText('You said: are you there').waitFor({ timeout: WAIT_MS });
      expect(await page.locator('.question').allInnerTexts()).toEqual(['are you there']);
    });

    it('models: the choice is asked and remembered', async () => {
      const page = await open(mesh.url);
      await page.getByLabel('Model', { exact: true }).selectOption('other:latest');
      expect(await page.locator('#guide-note').isVisible()).toBe(false);
      await ask(page, 'hello');
      await ended(page);
      expect(engine.chats.at(-1)?.model).toBe('other:latest');
      await page.reload();
      await page.locator('#model option').nth(1).waitFor({ state: 'attached', timeout: WAIT_MS });
      expect(await page.getByLabel('Model', { exact: true }).inputValue()).toBe('other:latest');
    });

    it('pull: progress is shown, and the new model is chosen when it is here', async () => {
      const page = await open(mesh.url);
      await page.getByRole('button', { name: 'Get a model' }).click();
      await page.keyboard.type('fresh');
      await page.keyboard.press('Enter');
      await page.locator('#pulls .figures', { hasText: /MB of 40 MB/ }).waitFor({ timeout: WAIT_MS });
      expect(await page.locator('#pulls progress').evaluate((bar: HTMLProgressElement) => bar.value > 0 && bar.value <= 1)).toBe(true);
      await page.locator('#pulls .figures', { hasText: 'It is here.' }).waitFor({ timeout: WAIT_MS });
      await page.waitForFunction(() => document.querySelector<HTMLSelectElement>('#model')?.value === 'fresh:latest', undefined, { timeout: WAIT_MS });
    });
  });

  describe('with each app in a process of its own', () => {
    let engine: SlowOllama;
    let server: RunningServer;
    let dataDir: string;
    let gateway: Program;
    let others: Program[];
    let url: string;
    const start = (app: LoneApp) =>
      startLone(app, { natsUrl: server.url, dataDir, env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: engine.url, OLLAMESH_GATEWAY_PORT: new URL(url).port } });
    beforeAll(async () => {
      dataDir = await mkdtemp(join(tmpdir(), 'ollamesh-page-'));
      engine = await slowOllama();
      server = await embeddedBroker.start();
      url = `http://127.0.0.1:${await freePort()}`;
      [gateway, ...others] = (await Promise.all([start('gateway'), start('orchestrator'), start('model-manager')])) as [Program, ...Program[]];
    }, 90_000);
    afterAll(async () => {
      for (const program of [gateway, ...others]) await program?.end('SIGTERM');
      await server?.stop();
      await engine?.close();
      await rm(dataDir, { recursive: true, force: true });
    });

    it('connection: the gateway alone is killed and started again; the page says so, and the answer goes on without a gap', async () => {
      expected = /ERR_|WebSocket|Failed to load/;
      const page = await open(url);
      await page.locator('#model option', { hasText: 'slow:latest' }).waitFor({ state: 'attached', timeout: WAIT_MS });
      const release = engine.holdAfter(60);
      try {
        await ask(page, 'a long one');
        await lastAnswer(page).getByText('word59').waitFor({ timeout: WAIT_MS });
        await gateway.end('SIGKILL');
        await page.getByText('The connection is lost').waitFor({ timeout: WAIT_MS });
        [gateway] = await Promise.all([start('gateway'), page.getByText('Connected again; the answer goes on where it was.').waitFor({ timeout: 3 * WAIT_MS })]); // It is said for a moment only.
      } finally {
        release();
      }
      await ended(page);
      expect(await lastAnswer(page).locator('.prose').innerText()).toBe(LONG);
      expect(engine.chats.length).toBe(1);
      expect(await page.locator('#events').innerText()).toMatch(/Connected[^]*Connection lost/);
    }, 120_000);

    it('charts: each sample of the machine is drawn as it comes, and the line moves on while nothing changes', async () => {
      const page = await open(url);
      await page.locator('#engine-word', { hasText: /^ready$/ }).waitFor({ timeout: WAIT_MS });
      await page.getByRole('button', { name: /^Engine/ }).click();
      const bus = await connectBus({ url: server.url, app: 'gpu-agent', node: 'gpu1', root: 'ollamesh', log: { warn: () => undefined } });
      const machine = await new HardwareReader(recordedMachine('rtx-4080-super')).read();
      const cpu = page.locator('.chart', { hasText: 'CPU' });
      /** The heights of the line's points, 0 to 1, the newest last. */
      const heights = () => cpu.locator('polyline').evaluate((line) => (line.getAttribute('points') ?? '').split(' ').map((point) => (32 - Number(point.split(',')[1])) / 30));
      for (const loadPercent of [10, 90]) {
        bus.publish(HardwareChanged, { ...machine, node: 'gpu1', cpu: { ...machine.cpu, loadPercent } });
        await cpu.locator('strong', { hasText: `${loadPercent} %` }).waitFor({ timeout: WAIT_MS });
        expect((await heights()).at(-1)).toBeCloseTo(loadPercent / 100, 1);
      }
      const drawn = await heights();
      expect(drawn.at(-2)).toBeCloseTo(0.1, 1);
      await page.waitForFunction((count) => (document.querySelector('.chart polyline')?.getAttribute('points') ?? '').split(' ').length > count, drawn.length, { timeout: WAIT_MS });
      expect((await heights()).at(-1)).toBeCloseTo(0.9, 1);
      expect(await page.locator('.chart', { hasText: 'VRAM 0' }).locator('strong').innerText()).toMatch(/ of /);
      await bus.close();
    });
  });
});
