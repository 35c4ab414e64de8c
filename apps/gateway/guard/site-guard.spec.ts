/** Who may talk to a gateway on loopback: a table of hosts and origins, those of attackers above all. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { ask } from '../../../test/support/http-client.js';
import { isAllowedOrigin, isLocalHost, siteGuard } from './site-guard.js';

describe('host', () => {
  it.each([
    undefined, '', 'localhost', 'localhost:11435', 'LOCALHOST:11435', 'LocalHost', '127.0.0.1', '127.0.0.1:11435', '127.9.8.7', '192.168.1.20:11435',
    '[::1]', '[::1]:11435', '[fe80::1]:80', 'app.localhost:3000', 'mybox.local', 'MyBox.LOCAL:11435', 'host.docker.internal:11435',
  ])('%s: may be asked for', (host) => expect(isLocalHost(host)).toBe(true));

  it.each([
    'evil.com', 'evil.com:11435', 'localhost.evil.com', 'localhost.evil.com:11435', '127.0.0.1.evil.com', '127.0.0.1.nip.io:11435', '7f000001.rbndr.us',
    'notlocalhost', 'localhost-evil.com', '.local', 'local', 'localhost.', 'mybox.local.', 'localhost@evil.com', 'evil.com#localhost', 'evil.com/.local:1/x',
    '[::1]evil.com', '[evil.com]', '127.0.0.1:11435:80', 'localhost:x', '0x7f.1', ' localhost',
  ])('%s: is foreign', (host) => expect(isLocalHost(host)).toBe(false));
});

describe('origin', () => {
  it.each([
    undefined, 'http://localhost', 'http://localhost:3000', 'https://localhost:8443', 'http://LOCALHOST:3000', 'http://127.0.0.1:5173', 'http://127.8.8.8',
    'http://[::1]:3000', 'http://0.0.0.0:3000', 'app://obsidian.md', 'tauri://localhost', 'vscode-webview://1f2e', 'vscode-file://vscode-app', 'file://',
  ])('%s: may use the gateway', (origin) => expect(isAllowedOrigin(origin, 'localhost:11435')).toBe(true));

  it.each([
    'null', '', '*', 'localhost', 'http://', 'http://evil.com', 'https://evil.com:11435', 'http://localhost.evil.com', 'http://localhost.evil.com:3000',
    'http://127.0.0.1.evil.com', 'http://127.evil.com', 'http://localhost@evil.com', 'http://evil.com@localhost', 'http://evil:x@127.0.0.1:3000',
    'http://evil.com#localhost', 'http://evil.com\\@localhost', 'http://192.168.1.20:3000', 'http://8.8.8.8', 'http://localhost.:3000', 'http://[::2]',
    'http://mybox.local', 'ws://localhost:3000', 'ftp://localhost', 'data:text/html,x', 'javascript:alert(1)', 'chrome-extension://abc', 'http://localhost/page',
  ])('%s: is foreign', (origin) => expect(isAllowedOrigin(origin, 'localhost:11435')).toBe(false));

  it.each([
    ['http://mybox.local:11435', 'mybox.local:11435'],
    ['http://mybox.local:11435', 'MyBox.local:11435'],
    ['http://192.168.1.20:11435', '192.168.1.20:11435'],
    ['http://[fe80::1]:11435', '[fe80::1]:11435'],
    ['https://mybox.local', 'mybox.local'],
  ])('%s: the page of the gateway at %s may use it', (origin, host) => expect(isAllowedOrigin(origin, host)).toBe(true));

  it('another port of another machine is foreign', () => {
    expect(isAllowedOrigin('http://mybox.local:3000', 'mybox.local:11435')).toBe(false);
  });
});

describe('guard', () => {
  let server: Server;
  let url: string;

  beforeAll(async () => {
    const app = express().use(siteGuard({ allowedHosts: ['llm.example.com'], allowedOrigins: ['https://app.example.com'] }));
    app.all('/thing', (_request, response) => void response.json({ secret: 1 }));
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/thing`;
  });
  afterAll(() => void server.close());

  it.each(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])('%s: a foreign page gets 403 and nothing to read', async (method) => {
    for (const [name, value] of [['origin', 'http://evil.com'], ['origin', 'null'], ['host', 'evil.com']] as const) {
      const { status, text, headers: answered } = await ask(url, { method, headers: { [name]: value } });
      expect({ status, text }).toEqual({ status: 403, text: '' });
      expect(answered).not.toHaveProperty('access-control-allow-origin');
    }
  });

  it('origin: an allowed page may read the answer, and caches keep pages apart', async () => {
    const { status, headers } = await ask(url, { headers: { origin: 'http://localhost:3000' } });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'access-control-allow-origin': 'http://localhost:3000', vary: 'Origin' });
    expect((await ask(url)).headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('preflight: is answered here and reaches no handler', async () => {
    const { status, text, headers } = await ask(url, { method: 'OPTIONS', headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'DELETE' } });
    expect({ status, text }).toEqual({ status: 204, text: '' });
    expect(headers['access-control-allow-methods']).toContain('DELETE');
    expect(headers['access-control-allow-headers']).toContain('Last-Event-ID');
  });
});
