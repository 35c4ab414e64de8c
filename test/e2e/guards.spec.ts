/**
 * Other sites' pages get nothing: what Ollama's server answered them on the wire (recordings 50-* and 51-*), this gateway answers too,
 * on every method and on the Socket.IO handshake. Our own lists of allowed headers differ from Ollama's, and bodies of course do; what is
 * compared is the verdict, the empty body of a refusal, and which CORS headers are there.
 */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { connectSocket } from '../support/socket-client.js';
import { type Recording, recordings } from '../support/wire-recording.js';

/** Ollama's paths, as this gateway has them. */
const OURS: Readonly<Record<string, string>> = { '/api/tags': '/models', '/api/chat': '/streams', '/api/version': '/health', '/api/delete': '/models' };
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const PATHS = ['/', '/streams', '/streams/AAAAAAAAAAAAAAAAAAAAAA', '/models', '/models/pull', '/events', '/health', '/docs', '/nosuch', '/cache', '/metrics', '/sessions',
  '/v1/models', '/v1/chat/completions', '/api/tags', '/api/chat', '/ai/chat', '/ai/chat/x/stream'];
const FOREIGN: Record<string, Record<string, string>> = {
  'a foreign Origin': { origin: 'https://example.com' },
  'a null Origin': { origin: 'null' },
  'an Origin that only begins like localhost': { origin: 'http://localhost.example.com' },
  'an Origin that only begins like 127.0.0.1': { origin: 'http://127.0.0.1.example.com:3000' },
  'an Origin with a user named localhost': { origin: 'http://localhost@example.com' },
  'a foreign Host': { host: 'evil.example.com' },
  'a foreign Host with our port': { host: 'evil.example.com:11435' },
  'a foreign Host and Origin that agree': { host: 'evil.example.com', origin: 'http://evil.example.com' },
};
const FAMILIAR: Record<string, Record<string, string>> = {
  'no Origin': {},
  'localhost on any port': { origin: 'http://localhost:3000' },
  '127.0.0.1 on any port': { origin: 'http://127.0.0.1:5173' },
  'localhost over https': { origin: 'https://localhost:8443' },
  'IPv6 loopback': { origin: 'http://[::1]:3000' },
};

describe('guards', () => {
  let mesh: MeshProcess;
  beforeAll(async () => {
    mesh = await startMesh();
  });
  afterAll(async () => {
    await mesh.stop();
  });

  function replay({ method, path, headers, body }: Recording) {
    const given = { ...headers };
    // "Same origin" was recorded on Ollama's port.
    if (given['origin'] === 'http://127.0.0.1:11434') given['origin'] = mesh.url;
    delete given['content-length'];
    const ours = body === undefined ? undefined : JSON.stringify({ prompt: 'Hello!' });
    return ask(`${mesh.url}${OURS[path] ?? path}`, { method, headers: given, ...(ours !== undefined && { body: ours }) });
  }

  it.each(recordings('50-', '51-').map((recording) => ({ recording, name: recording.name })))('recording $name: the same verdict', async ({ recording }) => {
    const { status, headers, text } = await replay(recording);
    const expected = recording.status === 200 && recording.method === 'POST' ? 201 : recording.status;
    expect(status).toBe(expected);
    if (status === 403) {
      expect(text).toBe('');
      expect(headers['content-length'] ?? '0').toBe('0');
    }
    const origin = recording.answerHeaders['access-control-allow-origin'];
    // Ollama leaves the header out for its own origin; a gateway that grants it there grants nothing new.
    if (recording.name !== '51-cors-same-origin') expect(headers['access-control-allow-origin']).toBe(origin);
    if (origin !== undefined) expect(headers['vary']).toContain('Origin');
    for (const name of ['access-control-allow-methods', 'access-control-allow-headers', 'access-control-max-age', 'access-control-allow-credentials']) {
      expect({ name, present: headers[name] !== undefined }).toEqual({ name, present: recording.answerHeaders[name] !== undefined });
    }
    if (recording.status === 405) expect(headers['allow']).toContain(recording.answerHeaders['allow']);
  });

  it.each(Object.keys(FOREIGN))('%s: 403 with nothing in it, on every method and path', async (who) => {
    const verdicts = await Promise.all(
      PATHS.flatMap((path) => METHODS.map(async (method) => {
        const { status, text, headers } = await ask(`${mesh.url}${path}`, { method, headers: FOREIGN[who] ?? {} });
        return { method, path, status, text, allowed: headers['access-control-allow-origin'] };
      })),
    );
    expect(verdicts.filter(({ status, text, allowed }) => status !== 403 || text !== '' || allowed !== undefined)).toEqual([]);
  });

  it.each(Object.keys(FAMILIAR))('%s: is allowed, and told so', async (who) => {
    const origin = FAMILIAR[who]?.['origin'];
    const { status, headers } = await ask(`${mesh.url}/models`, { headers: FAMILIAR[who] ?? {} });
    expect({ status, allowed: headers['access-control-allow-origin'] }).toEqual({ status: 200, allowed: origin });
  });

  it('preflight: a page on localhost may do what the protocol needs', async () => {
    const { headers } = await ask(`${mesh.url}/streams`, {
      method: 'OPTIONS',
      headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization,content-type,last-event-id' },
    });
    const allowed = (name: string) => String(headers[name]).toLowerCase().split(/\s*,\s*/);
    expect(allowed('access-control-allow-methods')).toEqual(expect.arrayContaining(['get', 'post', 'delete']));
    expect(allowed('access-control-allow-headers')).toEqual(expect.arrayContaining(['authorization', 'content-type', 'last-event-id']));
  });

  it.each(Object.keys(FOREIGN))('Socket.IO handshake: %s is refused on polling and on websocket', async (who) => {
    const polling = await ask(`${mesh.url}/socket.io/?EIO=4&transport=polling`, { headers: FOREIGN[who] ?? {} });
    expect({ status: polling.status, text: polling.text, allowed: polling.headers['access-control-allow-origin'] }).toEqual({ status: 403, text: '' });
    expect(await upgradeStatus(FOREIGN[who] ?? {})).not.toBe(101);
    expect(await upgradeStatus({})).toBe(101); // So that the refusal is not one of everything.
  });

  /** Asks for a WebSocket as bytes: client libraries set Host themselves. */
  function upgradeStatus(headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      const asked = request(`${mesh.url}/socket.io/?EIO=4&transport=websocket`, {
        agent: false,
        headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==', ...headers },
      });
      asked.once('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      });
      asked.once('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asked.once('error', reject);
      asked.end();
    });
  }

  it.each(Object.keys(FAMILIAR))('Socket.IO handshake: %s is allowed on polling and on websocket', async (who) => {
    for (const transport of ['polling', 'websocket']) {
      const client = await connectSocket(mesh.url, { transports: [transport as 'polling'], extraHeaders: FAMILIAR[who] ?? {} });
      expect(await client.ask('leave', { streamId: 'AAAAAAAAAAAAAAAAAAAAAA' })).toEqual({ ok: true });
      client.close();
    }
  });
});
