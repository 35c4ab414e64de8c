/** Web pages of others stay out, on every method and whatever DNS says. */
import { describe, expect, it } from '@jest/globals';
import { judge } from './guard.js';

const asked = { method: 'GET', host: '127.0.0.1:11434', origin: undefined, ownName: 'box' };

describe('guard', () => {
  it.each(['http://localhost:3000', 'https://localhost', 'http://127.0.0.1:8080', 'http://0.0.0.0:1', 'app://obsidian.md', 'vscode-webview://x', 'http://[::1]:5173'])('origin %s passes and is named', (origin) => {
    expect(judge({ ...asked, origin })).toMatchObject({ kind: 'pass', headers: { 'Access-Control-Allow-Origin': origin } });
    expect(judge({ ...asked, origin, method: 'OPTIONS' }).kind).toBe('preflight');
  });

  it.each(['https://example.com', 'null', 'http://localhost.example.com', 'http://evil/127.0.0.1', 'http://127.0.0.1.nip.io', 'garbage', 'chrome-extension://abc'])('origin %s is refused on GET, POST and OPTIONS', (origin) => {
    for (const method of ['GET', 'POST', 'OPTIONS']) expect(judge({ ...asked, origin, method }).kind).toBe('refuse');
  });

  it.each([undefined, '', 'localhost:1', '127.0.0.1', '[::1]:11434', 'box', 'BOX:80', 'box.local', 'a.localhost', 'host.docker.internal'])('host %s passes', (host) => {
    expect(judge({ ...asked, host }).kind).toBe('pass');
  });

  it.each(['evil.example.com', 'localhost.example.com', 'evil.com:11434', 'local'])('host %s is refused, even when Origin names it too', (host) => {
    expect(judge({ ...asked, host }).kind).toBe('refuse');
    expect(judge({ ...asked, host, origin: `http://${host}` }).kind).toBe('refuse');
  });
});
