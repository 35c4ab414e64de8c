/** Who may use a gateway on loopback: this machine's own names and pages, and nobody a foreign page could pretend to be. */
import { describe, expect, it } from '@jest/globals';
import { isAllowedOrigin, isLocalHost } from './site-guard.js';

describe('site guard', () => {
  it.each([undefined, '', 'localhost', 'localhost:11435', 'LOCALHOST:1', '127.0.0.1:11435', '[::1]:11435', '192.168.1.5:80', 'box.local', 'x.internal:1', 'a.localhost'])(
    'host: %s is this machine', (host) => expect(isLocalHost(host)).toBe(true),
  );

  it.each(['evil.com', 'evil.com:11435', 'localhost.evil.com', '127.0.0.1.evil.com', 'local', '.local', 'evil.com#.local:80x', 'localhost:', 'a b'])(
    'host: %s is foreign', (host) => expect(isLocalHost(host)).toBe(false),
  );

  it.each([
    undefined, 'http://localhost:3000', 'https://localhost', 'http://127.0.0.1:5173', 'http://127.9.9.9', 'http://[::1]:8080', 'http://0.0.0.0:1', 'tauri://localhost', 'vscode-webview://x', 'file://',
  ])('origin: %s may', (origin) => expect(isAllowedOrigin(origin, 'localhost:11435')).toBe(true));

  it.each([
    'null', '', 'http://evil.com', 'https://localhost.evil.com', 'http://127.0.0.1.evil.com', 'http://evil.com:11435', 'ftp://localhost', 'javascript:alert(1)', 'http://192.168.1.5', 'http://localhost@evil.com',
  ])('origin: %s may not', (origin) => expect(isAllowedOrigin(origin, 'localhost:11435')).toBe(false));

  it('origin: the gateway’s own may, under whatever name it is reached', () => {
    expect(isAllowedOrigin('http://box.local:11435', 'box.local:11435')).toBe(true);
    expect(isAllowedOrigin('http://box.local:1', 'box.local:11435')).toBe(false);
  });
});
