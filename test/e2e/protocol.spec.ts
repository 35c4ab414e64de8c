/**
 * docs/PROTOCOL.md is true: every example on it runs against one live mesh, in the order of the page.
 *
 * The rule: `<id>`, `<ownerToken>` and `<terminal>` stand for what the latest stream was given, `<sessionId>`,
 * `<token>`, `<memberToken>`, `<linkToken>` and the like for what the latest session, member, link and message were. A status is compared exactly; JSON by its
 * fields and their types, all the way down, and by value where the value is the contract (same-shape.ts lists those: codes, messages and
 * issues of errors, kinds, finishReason, recovered, …). Of a stream, every event is compared with the example's of that name; the names come
 * in the order of the page, as often as it happens, and the terminal one comes once and last. A stream that was over when it was asked for
 * has everything in its snapshot and no delta; a delta that only says what the stream waits for (`status`) has no parts.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, openSse } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { ROOT } from '../support/program.js';
import { type ExampleEvent, type HttpExample, type SocketExample, readExamples } from '../support/protocol-examples.js';
import { differences } from '../support/same-shape.js';
import { type SocketClient, connectSocket } from '../support/socket-client.js';
import { type StreamEvent, isTerminal, positionOf } from '../support/stream-text.js';

/** Change it with the page: an example that is no longer found would otherwise go unnoticed. */
const HTTP_EXAMPLES = 45;
const SOCKET_EXAMPLES = 6;
const UNKNOWN = 'AAAAAAAAAAAAAAAAAAAAAA';

const examples = readExamples(readFileSync(`${ROOT}docs/PROTOCOL.md`, 'utf8'));

describe('examples of docs/PROTOCOL.md', () => {
  let mesh: MeshProcess;
  let client: SocketClient;
  const captured: Record<string, string> = {};
  beforeAll(async () => {
    mesh = await startMesh({ env: { OLLAMESH_ROUTING_ALIASES: JSON.stringify({ best: ['ollama:nobody-has-this', 'ollama:guide'] }) } });
    client = await connectSocket(mesh.url);
  });
  afterAll(async () => {
    await mesh.stop();
  });

  it('all of them are found', () => {
    const count = (wanted: string) => examples.filter(({ kind }) => kind === wanted).length;
    expect({ http: count('http'), socketio: count('socketio') }).toEqual({ http: HTTP_EXAMPLES, socketio: SOCKET_EXAMPLES });
  });

  it.each(examples.map((example) => ({ example, name: `line ${example.line}: ${example.kind === 'http' ? `${example.method} ${example.path}` : `emit ${example.emit.event}`}` })))('$name', async ({ example }) => {
    if (example.kind === 'http') await runHttp(example);
    else await runSocket(example);
  });

  async function runHttp({ method, path, headers, body, answer }: HttpExample): Promise<void> {
    const asked = {
      method,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fill(value)])),
      ...(body !== undefined && { body: fill(body) }),
    };
    if (answer.kind === 'sse') {
      const connection = await openSse(mesh.url + fill(path), asked);
      expect(connection.status).toBe(200);
      expect(connection.headers['content-type']).toMatch(/^text\/event-stream/);
      await connection.ended;
      const created = connection.events.find(({ event }) => event === 'created');
      if (created) capture(created.data);
      compareEvents(answer.events, connection.events);
      for (const { id, data } of connection.events) if (data['position'] !== undefined) expect(id).toBe(data['position']);
      return;
    }
    const answered = await ask(mesh.url + fill(path), asked);
    expect({ status: answered.status, text: answered.text }).toMatchObject({ status: answer.status });
    if (answer.body === undefined) {
      expect(answered.text).toBe('');
      return;
    }
    const json = answered.json<Record<string, unknown>>();
    if (answered.status === 201 || answered.status === 202) capture(json);
    expect(differences(filled(answer.body), json)).toEqual([]);
  }

  async function runSocket({ emit, ack, events }: SocketExample): Promise<void> {
    const from = client.events.length;
    const reply = (await client.ask(emit.event, JSON.parse(fill(emit.payload)))) as unknown as Record<string, unknown>;
    if (reply['ok'] === true) capture(reply);
    expect(differences(filled(ack), reply)).toEqual([]);
    if (events.length === 0) return;
    await client.seen(captured['id'] ?? '', () => client.events.slice(from).some(isTerminal));
    compareEvents(events, client.events.slice(from));
  }

  function compareEvents(expected: readonly ExampleEvent[], actual: readonly StreamEvent[]): void {
    const known = new Map(expected.map(({ event, data }) => [event, filled(data)]));
    const [parts] = actual.flatMap(({ event, data }) => (event === 'snapshot' ? [data['parts'] as unknown[]] : []));
    const names = [...known.keys()].filter((name) => name !== 'delta' || parts === undefined || parts.length === 0);
    expect([...new Set(actual.map(({ event }) => event))].filter((name) => name !== 'delta' || names.includes(name))).toEqual(names); // In the order of the page.
    for (const { event, data } of actual) {
      const { status, ...rest } = data;
      const onlyStatus = event === 'delta' && status !== undefined && (data['parts'] as unknown[]).length === 0;
      if (status !== undefined) expect(status).toMatchObject({ kind: expect.stringMatching(/^(queued|loading)$/) });
      if (!onlyStatus) expect({ event, differs: differences(known.get(event), rest) }).toEqual({ event, differs: [] });
    }
    expect(actual.filter(isTerminal)).toEqual(actual.slice(-1));
    captured['terminal'] = positionOf(actual) ?? '';
  }

  function capture({ token, ...given }: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(given)) if (typeof value === 'string') captured[name] = value;
    if (typeof token !== 'string') return;
    const of = 'sessionId' in given ? 'token' : 'linkId' in given ? 'linkToken' : 'memberToken';
    captured[of] = token;
  }

  function fill(text: string): string {
    return text.replace(/<(\w+)>/g, (placeholder, name: string) => {
      const value = captured[name] ?? (name === 'id' ? UNKNOWN : undefined);
      if (value === undefined) throw new Error(`Nothing was captured for ${placeholder} yet`);
      return value;
    });
  }

  function filled(example: unknown): unknown {
    return JSON.parse(fill(JSON.stringify(example)));
  }
});
