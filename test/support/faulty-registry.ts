/** An HTTP proxy before a registry that breaks what a test tells it to break, and remembers what it was asked. */
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  /** Bytes of the body that were passed on. */
  sent: number;
}

/** What becomes of one request; the default is to pass it on. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** The connection breaks after that many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Nothing more comes after that many bytes of the body, and the connection stays. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The first byte is another. */
  | { readonly kind: 'corrupt' }
  /** The answer is a whole blob of another length. */
  | { readonly kind: 'length'; readonly bytes: number }
  /** A whole blob, whatever part was asked for. */
  | { readonly kind: 'no-ranges' }
  | { readonly kind: 'redirect'; readonly to: string };

/** Decides per request; undefined passes it on. */
export type Faults = (seen: SeenRequest) => Fault | undefined;

export class FaultyRegistry {
  readonly seen: SeenRequest[] = [];
  faults: Faults = () => undefined;

  private constructor(private readonly server: Server, private readonly target: string) {}

  /** @param target base URL of the registry behind */
  static async before(target: string): Promise<FaultyRegistry> {
    const server = createServer((incoming, outgoing) => void proxy.#answer(incoming, outgoing));
    const proxy = new FaultyRegistry(server, target);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  /** `127.0.0.1:<port>`, the host part of a model's name. */
  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Requests for blobs, in order. */
  get blobs(): SeenRequest[] {
    return this.seen.filter(({ path }) => path.includes('/blobs/'));
  }

  /** Connections that are open. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
  }

  /** Breaks every connection that is open, stalled ones above all. */
  cutAll(): void {
    this.server.closeAllConnections();
  }

  forget(): void {
    this.seen.length = 0;
    this.faults = () => undefined;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { range, authorization } = incoming.headers;
    const seen: SeenRequest = { method: incoming.method ?? '', path: incoming.url ?? '', range, authorization, sent: 0 };
    this.seen.push(seen);
    const fault = this.faults(seen);
    if (fault?.kind === 'status') return void outgoing.writeHead(fault.status, fault.headers).end(fault.body);
    if (fault?.kind === 'redirect') return void outgoing.writeHead(307, { location: fault.to + seen.path }).end();
    if (fault?.kind === 'length') return void outgoing.writeHead(200, { 'content-length': fault.bytes }).end(Buffer.alloc(fault.bytes));
    const behind = await this.#ask(incoming, fault?.kind === 'no-ranges');
    behind.on('error', () => outgoing.destroy());
    outgoing.on('error', () => behind.destroy());
    outgoing.on('close', () => behind.destroy());
    outgoing.writeHead(behind.statusCode ?? 502, behind.headers).flushHeaders();
    try {
      await pass(behind, outgoing, seen, fault);
    } catch {
      outgoing.destroy(); // The client left, or was cut off.
    }
  }

  #ask(incoming: IncomingMessage, whole: boolean): Promise<IncomingMessage> {
    const { host: _host, authorization: _token, ...headers } = incoming.headers;
    if (whole) delete headers.range;
    return new Promise((resolve, reject) => {
      request(new URL(incoming.url ?? '/', this.target), { method: incoming.method, headers, agent: false }, resolve).on('error', reject).end();
    });
  }
}

async function pass(behind: IncomingMessage, outgoing: ServerResponse, seen: SeenRequest, fault: Fault | undefined): Promise<void> {
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());
  const limit = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.afterBytes : Infinity;
  for await (const chunk of behind as AsyncIterable<Buffer>) {
    if (fault?.kind === 'corrupt' && seen.sent === 0 && chunk[0] !== undefined) chunk[0] ^= 0xff;
    const part = chunk.subarray(0, limit - seen.sent);
    seen.sent += part.length;
    if (part.length > 0 && !outgoing.write(part)) await once(outgoing, 'drain', { signal: gone.signal });
    if (seen.sent < limit) continue;
    if (fault?.kind === 'cut') outgoing.destroy();
    else await once(outgoing, 'close'); // The client's move.
    return;
  }
  outgoing.end();
}
