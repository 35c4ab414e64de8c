/** The examples as they are in the repository, in a folder of their own with the package as it would be installed: each gets an answer. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CHROMIUM, launchChromium, openPage } from '../browser/chromium.js';
import { freePort } from '../support/free-port.js';
import { ask, openSse } from '../support/http-client.js';
import { installPackage } from '../support/installed-package.js';
import { temporaryFolder } from '../support/mesh-process.js';
import { readRunFile } from '../../apps/cli/run-file.js';
import { CLI, ROOT, ollamesh, runNode, untilSaid } from '../support/program.js';
import { projectFolder } from '../support/project-folder.js';
import { until } from '../support/until.js';

let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  folder = await temporaryFolder();
  env = { OLLAMESH_DATA_DIR: join(folder, 'data'), OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded', OLLAMESH_BACKGROUND_GRACE_MS: '2000', NO_COLOR: '1' };
  cpSync(join(ROOT, 'examples'), folder, { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(installPackage(folder), 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules', 'vite'), join(folder, 'node_modules', 'vite'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Vite's dev server of the example. */
async function startVite(more: Record<string, string> = {}) {
  const port = await freePort();
  const cwd = join(folder, 'vite');
  const program = runNode([join(ROOT, 'node_modules/vite/bin/vite.js'), '--host', '127.0.0.1', '--port', String(port), '--strictPort'], { cwd, env: { ...env, ...more } });
  await until('Vite listens', () => program.stdout.includes(`127.0.0.1:${port}`) || program.child.exitCode !== null, 60_000);
  return { program, url: `http://127.0.0.1:${port}`, said: () => `${program.stdout}${program.stderr}` };
}

describe('Vite', () => {
  (CHROMIUM === undefined ? it.skip : it)('the answer appears on the page, through the dev server\'s own origin; the mesh ends with it', async () => {
    const { program, url, said } = await startVite();
    const browser = await launchChromium();
    try {
      const { page, complaints } = await openPage(browser, url);
      await page.waitForFunction(`document.querySelector('#answer').textContent.length > 20`, undefined, { timeout: 60_000 });
      // The browser looks for an icon by itself, which shows here only; every other failed answer has an entry with its address.
      expect(complaints.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
      expect(said()).toMatch(/ollamesh {2}\/ollamesh leads to the mesh at http:\/\/127\.0\.0\.1:\d+\//);
      await until('it says that an engine answers', () => said().includes('an engine answers'));
    } finally {
      await browser.close();
      await program.end('SIGTERM', 20_000);
    }
    const [, gateway = ''] = /leads to the mesh at (\S+)\//.exec(said()) ?? [];
    await until('the mesh has ended', async () => (await ask(`${gateway}/health`).catch(() => undefined)) === undefined, 30_000);
  }, 120_000);

  it('the proxy streams, and leaves alone what only begins like it', async () => {
    const { program, url } = await startVite();
    try {
      const stream = await openSse(`${url}/ollamesh/streams`, { body: { prompt: 'What is NATS?' } });
      await stream.ended;
      expect([stream.status, stream.text]).toEqual([200, expect.stringContaining('event: created')]);
      expect(stream.events.map(({ event }) => event)).toEqual(expect.arrayContaining(['created', 'done']));
      expect((await ask(`${url}/ollamesh/health`)).status).toBe(200);
      expect((await ask(`${url}/ollameshed`)).text).toContain('ollamesh and Vite'); // Vite's own page.
    } finally {
      await program.end('SIGTERM', 20_000);
    }
  }, 120_000);

  it('a restart for a changed configuration: the same mesh, which waits for its end', async () => {
    const data = join(folder, 'restarted');
    const { program, url, said } = await startVite({ OLLAMESH_DATA_DIR: data });
    const addresses = () => [...said().matchAll(/leads to the mesh at (\S+)/g)].map(([, address]) => address);
    const config = join(folder, 'vite', 'vite.config.js');
    const text = readFileSync(config, 'utf8');
    try {
      const run = await until('the mesh can be found', () => readRunFile(data));
      for (const times of [2, 3]) {
        // Written again while nothing happens: Vite misses a change that comes before it watches.
        let writeAt = 0;
        await until('the dev server has restarted', () => {
          if (performance.now() > writeAt) {
            writeFileSync(config, `${text}// ${performance.now()}\n`);
            writeAt = performance.now() + 5_000;
          }
          return addresses().length >= times;
        }, 90_000);
      }
      expect(new Set(addresses()).size).toBe(1);
      // Held by the server that runs, longer than the grace of those that closed.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect((await readRunFile(data))?.pid).toBe(run.pid);
      await until('the app reaches it', async () => (await ask(`${url}/ollamesh/health`).catch(() => undefined))?.status === 200);
    } finally {
      writeFileSync(config, text);
      await program.end('SIGTERM', 20_000);
      await ollamesh(['down'], { env: { ...env, OLLAMESH_DATA_DIR: data } });
    }
  }, 300_000);

  it('no mesh can be had: the dev server starts all the same, and says what to do', async () => {
    const { program, url, said } = await startVite({ OLLAMESH_URL: 'http://127.0.0.1:9' });
    try {
      expect((await ask(url)).text).toContain('ollamesh and Vite');
      expect(said()).toMatch(/No ollamesh gateway answers at http:\/\/127\.0\.0\.1:9.*ollamesh doctor/);
    } finally {
      await program.end('SIGTERM', 20_000);
    }
  }, 120_000);
});

describe('Next', () => {
  // Its bundler takes no links out of a project, so this one lies below what is installed.
  let place: string;
  beforeAll(() => {
    place = projectFolder('example-');
    cpSync(join(ROOT, 'examples', 'next'), join(place, 'next'), { recursive: true });
    installPackage(place);
  });
  afterAll(() => rm(place, { recursive: true, force: true }));

  (CHROMIUM === undefined ? it.skip : it)('ollamesh dev -- next dev: the answer appears on the page, as a stream through the dev server\'s own origin', async () => {
    const port = await freePort();
    const next = ['--', process.execPath, join(ROOT, 'node_modules/next/dist/bin/next'), 'dev', '--port', String(port)];
    const program = runNode([CLI, 'dev', ...next], { cwd: join(place, 'next'), env: { ...env, OLLAMESH_DATA_DIR: join(place, 'data'), NEXT_TELEMETRY_DISABLED: '1' } });
    const browser = await launchChromium();
    try {
      await untilSaid(program, 'Ready in', 120_000);
      const { page, complaints } = await openPage(browser, `http://localhost:${port}`);
      await page.waitForFunction(`Object.keys(document.querySelector('p')).some((key) => key.startsWith('__reactProps'))`, undefined, { timeout: 60_000 }); // Before, nobody hears a click.
      await page.click('p');
      await page.waitForFunction(`document.querySelector('p').textContent.length > 20`, undefined, { timeout: 60_000 });
      expect(complaints.filter((text) => !text.startsWith('Failed to load resource') && !text.includes('/favicon.ico'))).toEqual([]);
      const stream = await openSse(`http://localhost:${port}/ollamesh/streams`, { body: { prompt: 'What is NATS?' } });
      await stream.ended;
      expect(stream.headers['content-encoding']).toBeUndefined(); // Compressed, it would come in one piece.
      expect(stream.events.map(({ event }) => event)).toEqual(expect.arrayContaining(['created', 'done']));
    } finally {
      await browser.close();
      await program.end('SIGTERM', 20_000);
    }
  }, 300_000);
});

it('Node: the script prints the answer and ends', async () => {
  const program = runNode(['ask.js'], { cwd: join(folder, 'node'), env });
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.stdout.length).toBeGreaterThan(20);
}, 120_000);

it('each example is ten lines or fewer of one\'s own', () => {
  for (const files of [['vite/vite.config.js', 'vite/src/main.js'], ['next/next.config.mjs', 'next/app/page.js'], ['node/ask.js']]) {
    const lines = files.flatMap((file) => readFileSync(join(ROOT, 'examples', file), 'utf8').split('\n')).filter((line) => line !== '');
    expect(lines.length).toBeLessThanOrEqual(10);
  }
});
