/** The hooks in a real browser, in React's strict mode, against a real mesh on another origin. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { CHROMIUM, type OpenPage, launchChromium, openPage } from '../browser/chromium.js';
import { answerTo, ramble } from '../support/answers.js';
import { ask } from '../support/http-client.js';
import { type CuttableProxy, startProxy } from '../support/cuttable-proxy.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { viewOf } from '../support/stream-requests.js';
import { until } from '../support/until.js';
import { bundleOf } from './bundle.js';

const inBrowser = CHROMIUM === undefined ? describe.skip : describe;

inBrowser('hooks in Chromium', () => {
  let mesh: MeshProcess;
  let proxy: CuttableProxy;
  let server: Server;
  let browser: Browser;
  let url: string;
  beforeAll(async () => {
    const code = await bundleOf('test/client/hooks-page.mjs');
    mesh = await startMesh();
    proxy = await startProxy(Number(new URL(mesh.url).port));
    server = createServer((request, response) => {
      if (request.url === '/page.js') response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(code);
      else response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/?gateway=http://127.0.0.1:${proxy.port}`;
    browser = await launchChromium();
  }, 90_000);
  afterAll(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
    await proxy.close();
    await mesh.stop();
  });

  const textOf = async ({ page }: OpenPage, id: string) => (await page.textContent(`#${id}`)) ?? '';
  const untilShown = (open: OpenPage, id: string, text: string) => until(`#${id} shows "${text}"`, async () => (await textOf(open, id)) === text);

  it('ask: the answer comes on screen, in two views of it, with models and health beside it', async () => {
    const open = await openPage(browser, url);
    await untilShown(open, 'models', 'guide:latest');
    await untilShown(open, 'health', 'ok');
    await untilShown(open, 'state', 'none');
    await open.page.fill('#question', 'What is NATS?');
    await open.page.click('#ask');
    await untilShown(open, 'state', 'done');
    expect(await textOf(open, 'text')).toBe(answerTo('What is NATS?'));
    await untilShown(open, 'watched', answerTo('What is NATS?'));
    await open.page.click('#pull');
    await untilShown(open, 'pulled', 'success');
    const kept = async () => (await ask(`${mesh.url}/cache`)).json<{ entries: number }>().entries;
    await ask(`${mesh.url}/streams`, { body: { prompt: 'What is NATS?', options: { seed: 7 } } });
    await until('an answer is kept', async () => (await kept()) > 0);
    await open.page.click('#clear');
    await until('the cache is empty', async () => (await kept()) === 0);
    expect(open.complaints).toEqual([]);
    await open.page.context().close();
  });

  it('cut: the answer goes on where it broke; stop and leaving free the engine', async () => {
    const open = await openPage(browser, url);
    await open.page.evaluate((request) => Object.assign(globalThis, { ramble: request }), ramble());
    await untilShown(open, 'health', 'ok');
    let created = open.page.waitForResponse((response) => response.url().endsWith('/streams') && response.request().method() === 'POST');
    await open.page.click('#ramble');
    const { id } = (await (await created).json()) as { id: string };
    await until('it streams', async () => (await textOf(open, 'text')).length > 20);
    proxy.cut();
    await untilShown(open, 'state', 'reconnecting loading');
    proxy.restore();
    await untilShown(open, 'state', 'done');
    const { text } = await viewOf(mesh.url, id);
    expect(await textOf(open, 'text')).toBe(text);
    await untilShown(open, 'watched', text);
    for (const [way, button] of [['stopped', '#stop'], ['left', '#leave']] as const) {
      created = open.page.waitForResponse((response) => response.url().endsWith('/streams') && response.request().method() === 'POST');
      await open.page.click('#ramble');
      const next = (await (await created).json()) as { id: string };
      await open.page.click(button);
      await until(`it is ${way}`, async () => (await viewOf(mesh.url, next.id)).done?.finishReason === 'cancelled');
    }
    expect(open.complaints.filter((complaint) => !complaint.includes('net::ERR_'))).toEqual([]);
    await open.page.context().close();
  });
});
