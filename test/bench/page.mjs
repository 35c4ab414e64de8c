// The page in Chromium: how much is loaded and how soon it is usable, and whether it stays smooth under an answer of 20,000 tokens.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { report } from './figures.mjs';

const TOKENS = 20_000;
const PER_SECOND = 100;
/** The end of the answer, where it is longest, comes at its pace; what is before it comes at once. */
const PACED_SECONDS = 15;
const LONG_TASK_MS = 50;

/** What models write: headings, paragraphs, lists, code, a table. Each round has its number, so that none is the same. */
const ROUND = (n) => `## Part ${n}\n\nA paragraph about part ${n} with **strong words**, \`code\` and a [link](https://example.org/${n}) that goes on for a while, as answers do, until it ends.\n\n- first of ${n}\n- second, a little longer than the first\n- third\n\n\`\`\`js\nfunction part${n}(input) {\n  const result = input.map((value) => value * ${n});\n  return result.filter(Boolean);\n}\n\`\`\`\n\n| name | value |\n| --- | --- |\n| part | ${n} |\n| next | ${n + 1} |\n\n`;

function tokensOfAnswer() {
  const tokens = [];
  for (let round = 1; tokens.length < TOKENS; round++) tokens.push(...ROUND(round).match(/\s*\S{1,6}|\s+$/g));
  return tokens.slice(0, TOKENS);
}

async function startSource() {
  const tokens = tokensOfAnswer();
  const model = { name: 'paced:latest', size: 10, digest: 'sha256:0', modified_at: '2026-01-01T00:00:00Z', capabilities: ['completion'] };
  const line = (content, rest = { done: false }) => `${JSON.stringify({ model: model.name, message: { role: 'assistant', content }, ...rest })}\n`;
  const answer = async (response) => {
    const before = TOKENS - PER_SECOND * PACED_SECONDS;
    for (let at = 0; at < before; at += 100) {
      if (!response.write(tokens.slice(at, at + 100).map((token) => line(token)).join(''))) await once(response, 'drain');
    }
    const began = performance.now();
    for (let sent = before; sent < TOKENS; ) {
      await sleep(10);
      const due = Math.min(TOKENS, before + Math.floor(((performance.now() - began) / 1000) * PER_SECOND));
      for (; sent < due; sent++) response.write(line(tokens[sent]));
    }
    response.end(line('', { done: true, done_reason: 'stop', eval_count: TOKENS, eval_duration: 1e9 }));
  };
  const answers = {
    '/api/version': { version: '0.99.0' },
    '/api/tags': { models: [model] },
    '/api/ps': { models: [] },
    '/api/show': { capabilities: ['completion'], details: {}, model_info: {} },
  };
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === '/api/chat') void answer(response);
    else response.writeHead(answers[request.url] ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answers[request.url] ?? { error: 'not found' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function startMesh(source) {
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-bench-page-'));
  const env = { ...process.env, OLLAMESH_DATA_DIR: folder, OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE_URL: `http://127.0.0.1:${source.address().port}` };
  const child = spawn(process.execPath, [resolve('dist/apps/cli/main.js'), 'up', '--json'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const { what, url } = JSON.parse(line);
    if (what !== 'ready') continue;
    child.stdout.resume();
    return {
      url,
      async stop() {
        child.kill('SIGINT');
        await once(child, 'exit');
        await rm(folder, { recursive: true, force: true });
      },
    };
  }
  throw new Error('The mesh ended before it was ready.');
}

async function measureLoad(browser, url) {
  const page = await browser.newPage();
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  const began = performance.now();
  await page.goto(url, { waitUntil: 'commit' });
  await page.waitForFunction(() => document.activeElement?.id === 'question' && document.querySelector('.suggestion') !== null, undefined, { polling: 'raf' });
  const interactiveMs = performance.now() - began;
  await page.waitForLoadState('load');
  await page.close();
  return { bytes, interactiveMs };
}

async function measureLongAnswer(browser, url) {
  const page = await browser.newPage();
  await page.goto(url);
  await page.locator('#engine-word', { hasText: /^ready$/ }).waitFor();
  await page.getByLabel('Your question').fill('Tell me everything.');
  await page.keyboard.press('Enter');
  await page.waitForFunction((least) => (document.querySelector('.answer')?.textContent?.length ?? 0) > least, tokensOfAnswer().slice(0, TOKENS - PER_SECOND * PACED_SECONDS).join('').length * 0.8, { timeout: 60_000, polling: 500 });
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline', '__metadata'] });
  await page.locator('.answer .facts:not(:empty)').waitFor({ timeout: 120_000 });
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  await page.close();
  const mains = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`));
  return traceEvents.filter(({ name, dur, pid, tid }) => name === 'RunTask' && dur !== undefined && mains.has(`${pid} ${tid}`)).map(({ dur, tdur = dur }) => ({ ms: dur / 1000, cpuMs: tdur / 1000 }));
}

export async function run() {
  const source = await startSource();
  const mesh = await startMesh(source);
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const { bytes, interactiveMs } = await measureLoad(browser, mesh.url);
    report('first load, compressed', `${(bytes / 1000).toFixed(0)} kB`, { text: '≤ 150 kB', met: bytes <= 150_000 });
    report('usable after', `${interactiveMs.toFixed(0)} ms`, { text: '≤ 1 s', met: interactiveMs <= 1_000 });
    const tasks = await measureLongAnswer(browser, mesh.url);
    const longest = (of) => Math.max(...tasks.map(of));
    const long = tasks.filter(({ ms }) => ms > LONG_TASK_MS).length;
    const text = `none over ${LONG_TASK_MS} ms`;
    report(`last ${PACED_SECONDS} s of ${TOKENS} tokens at ${PER_SECOND}/s, longest task`, `${longest(({ ms }) => ms).toFixed(0)} ms, ${long} of ${tasks.length} over ${LONG_TASK_MS} ms`, { text, met: long === 0 });
    // What the page itself spends: a busy machine interrupts tasks, which then last longer.
    const cpuMs = longest(({ cpuMs: of }) => of);
    report('the same by CPU time', `${cpuMs.toFixed(0)} ms`, { text, met: cpuMs <= LONG_TASK_MS });
  } finally {
    await browser.close();
    await mesh.stop();
    source.close();
    source.closeAllConnections();
  }
}
