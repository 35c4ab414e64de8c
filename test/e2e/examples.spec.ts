/** The examples as they are in the repository, in a folder of their own with the package as it would be installed: each gets an answer. */
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CHROMIUM, launchChromium, openPage } from '../browser/chromium.js';
import { freePort } from '../support/free-port.js';
import { ask, openSse } from '../support/http-client.js';
import { temporaryFolder } from '../support/mesh-process.js';
import { ROOT, runNode } from '../support/program.js';
import { until } from '../support/until.js';

let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  folder = await temporaryFolder();
  env = { OLLAMESH_DATA_DIR: join(folder, 'data'), OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded', OLLAMESH_BACKGROUND_GRACE_MS: '2000', NO_COLOR: '1' };
  cpSync(join(ROOT, 'examples'), folder, { recursive: true });
  const installed = join(folder, 'node_modules', 'ollamesh');
  mkdirSync(join(installed, 'apps', 'embedded-engine'), { recursive: true });
  for (const name of ['package.json', 'LICENSE', 'dist', 'services', 'apps/embedded-engine/models']) cpSync(join(ROOT, name), join(installed, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'));
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
      expect(stream.events.map(({ event }) => event)).toEqual(expect.arrayContaining(['created', 'done']));
      expect((await ask(`${url}/ollamesh/health`)).status).toBe(200);
      expect((await ask(`${url}/ollameshed`)).text).toContain('ollamesh and Vite'); // Vite's own page.
    } finally {
      await program.end('SIGTERM', 20_000);
    }
  }, 120_000);

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

it('Node: the script prints the answer and ends', async () => {
  const program = runNode(['ask.js'], { cwd: join(folder, 'node'), env });
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.stdout.length).toBeGreaterThan(20);
}, 120_000);

it('each example is ten lines or fewer of one\'s own', () => {
  for (const files of [['vite/vite.config.js', 'vite/src/main.js'], ['node/ask.js']]) {
    const lines = files.flatMap((file) => readFileSync(join(ROOT, 'examples', file), 'utf8').split('\n')).filter((line) => line !== '');
    expect(lines.length).toBeLessThanOrEqual(10);
  }
});
