/** An Ollama that does what a test says: a real HTTP server with knobs for every way in which an engine can misbehave. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How one path answers. Lines that are objects are sent as NDJSON, texts and bytes as they are. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly lines?: readonly (object | string | Buffer)[];
  /** Pause before the first byte, in milliseconds. */
  readonly delayMs?: number;
  /** After the first line nothing comes until this settles. */
  readonly holdAfterFirst?: Promise<void>;
  /** After the last line the answer does not end until this settles. */
  readonly holdBeforeEnd?: Promise<void>;
  /** Pause between lines, in milliseconds. */
  readonly everyMs?: number;
  /** After the lines: `end` the answer, `cut` the connection, or `hang` with it open. */
  readonly finish?: 'end' | 'cut' | 'hang';
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Empty where the body is no JSON. */
  readonly body: Record<string, unknown>;
  readonly bytes: Buffer;
  /** Which of the engine's connections it came on, counted from 1. */
  readonly connection: number;
  /** Settles when the connection closes before the answer is complete. */
  readonly dropped: Promise<void>;
}

const OPENING_BRACE = 0x7b;
const TEN_BYTES = { size: 10, digest: 'sha256:abc', modified_at: '2026-01-01T00:00:00Z' };

export class FakeOllama {
  /** Names that /api/tags lists; a pull that ends in success adds its own. */
  models: string[] = ['tiny:latest'];
  /** Names that /api/ps lists. */
  loaded: string[] = [];
  version = '0.9.9';
  /** True: takes requests and answers none, as an engine that hangs. */
  hung = false;
  readonly requests: SeenRequest[] = [];
  readonly #answers = new Map<string, Answer | ((body: Record<string, unknown>) => Answer)>();
  readonly #sockets = new Set<Socket>();
  readonly #connections = new WeakMap<Socket, number>();
  #connected = 0;
  readonly #server: Server;
  readonly #ended = new AbortController();
  readonly #onRequest = new Set<() => void>();

  private constructor(readonly headers: Record<string, string>) {
    this.#server = createServer((request, response) => void this.#handle(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      this.#connections.set(socket, ++this.#connected);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param headers sent with every answer */
  static async start({ port = 0, headers = {} }: { port?: number; headers?: Record<string, string> } = {}): Promise<FakeOllama> {
    const fake = new FakeOllama(headers);
    await new Promise<void>((resolve, reject) => fake.#server.once('error', reject).listen(port, '127.0.0.1', resolve));
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Turns the knobs of one path. */
  on(path: string, answer: Answer | ((body: Record<string, unknown>) => Answer)): void {
    this.#answers.set(path, answer);
  }

  /** The requests of one path so far. */
  seen(path: string): SeenRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  /** The `count`th request of a path, as soon as it is there. */
  async arrival(path: string, count = 1): Promise<SeenRequest> {
    for (;;) {
      const request = this.seen(path)[count - 1];
      if (request) return request;
      await new Promise<void>((resolve) => this.#onRequest.add(resolve));
    }
  }

  /** Dies as a killed process does: every connection is cut. */
  async close(): Promise<void> {
    this.#ended.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = await bytesOf(request);
    if (bytes === undefined) return; // Gone before it had said what it wants.
    const body = bytes[0] === OPENING_BRACE ? (JSON.parse(bytes.toString()) as Record<string, unknown>) : {};
    const path = new URL(request.url ?? '/', 'http://engine').pathname;
    const dropped = new Promise<void>((resolve) => response.once('close', () => !response.writableFinished && resolve()));
    this.requests.push({ method: request.method ?? '', path, body, bytes, connection: this.#connections.get(request.socket) ?? 0, dropped });
    for (const wake of this.#onRequest) wake();
    this.#onRequest.clear();
    if (this.hung) return;
    const knobs = this.#answers.get(path);
    const answer = (typeof knobs === 'function' ? knobs(body) : knobs) ?? this.#usual(path, body);
    try {
      await this.#play(answer, response);
      if (path === '/api/pull' && JSON.stringify(answer.lines?.at(-1))?.includes('success')) this.models.push(String(body['model']));
    } catch (thrown) {
      if (!this.#ended.signal.aborted) throw thrown;
    }
  }

  async #play({ status = 200, headers = {}, lines = [], delayMs, holdAfterFirst, holdBeforeEnd, everyMs, finish = 'end' }: Answer, response: ServerResponse): Promise<void> {
    const { signal } = this.#ended;
    if (delayMs !== undefined) await sleep(delayMs, undefined, { signal });
    response.writeHead(status, { ...this.headers, ...headers });
    response.flushHeaders();
    for (const [index, line] of lines.entries()) {
      if (index === 1) await holdAfterFirst;
      if (index > 0 && everyMs !== undefined) await sleep(everyMs, undefined, { signal });
      if (response.destroyed) return;
      await new Promise<void>((resolve) => response.write(typeof line === 'string' || Buffer.isBuffer(line) ? line : `${JSON.stringify(line)}\n`, () => resolve()));
    }
    await holdBeforeEnd;
    if (finish === 'end') response.end();
    if (finish === 'cut') response.destroy();
  }

  /** Loads or unloads, as a request with an empty prompt does. */
  #move(model: string, out: boolean): Answer {
    if (!this.models.includes(model)) return { status: 404, lines: [{ error: `model '${model}' not found` }] };
    this.loaded = this.loaded.filter((name) => name !== model);
    if (!out) this.loaded.push(model);
    return { lines: [{ model, response: '', done: true, done_reason: out ? 'unload' : 'load' }] };
  }

  #usual(path: string, { model, prompt, keep_alive: keepAlive }: Record<string, unknown>): Answer {
    if (path === '/api/version') return { lines: [{ version: this.version }] };
    if (path === '/api/tags') return { lines: [{ models: this.models.map((name) => ({ name, ...TEN_BYTES })) }] };
    if (path === '/api/ps') return { lines: [{ models: this.loaded.map((name) => ({ name })) }] };
    if (path === '/api/generate' && prompt === '') return this.#move(String(model), keepAlive === 0);
    if (path === '/api/show') {
      return this.models.includes(String(model)) ? { lines: [{ details: {}, capabilities: ['completion'] }] } : { status: 404, lines: [{ error: `model '${String(model)}' not found` }] };
    }
    return { status: 404, lines: ['404 page not found'] };
  }
}

/** The whole body, or undefined where the client left. */
async function bytesOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (thrown) {
    if (request.destroyed) return undefined;
    throw thrown;
  }
  return Buffer.concat(chunks);
}
