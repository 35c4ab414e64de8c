/** An HTTP proxy before a provider that breaks what a test tells it to break, and remembers what it was asked. */
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AskedOfProvider {
  readonly path: string;
  readonly authorization: string | undefined;
  /** Empty where there was none. */
  readonly body: Record<string, unknown>;
}

/** What becomes of one request; the default is to pass it on. */
export type ProviderFault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** 200 and this as the whole answer. */
  | { readonly kind: 'says'; readonly body: string }
  /** The connection breaks before the head of the answer. */
  | { readonly kind: 'cut' }
  /** Nothing comes, and the connection stays. */
  | { readonly kind: 'silent' };

export class FaultyProvider {
  readonly seen: AskedOfProvider[] = [];
  /** Decides per request; undefined passes it on. */
  faults: (asked: AskedOfProvider, before: number) => ProviderFault | undefined = () => undefined;

  private constructor(
    private readonly server: Server,
    private readonly target: string,
  ) {}

  /** @param target base URL of the provider behind */
  static async before(target: string): Promise<FaultyProvider> {
    const server = createServer((incoming, outgoing) => void proxy.#answer(incoming, outgoing));
    const proxy = new FaultyProvider(server, target);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const asked = { path: incoming.url ?? '', authorization: incoming.headers.authorization, body: bytes.length === 0 ? {} : (JSON.parse(bytes.toString()) as Record<string, unknown>) };
    const before = this.seen.push(asked) - 1;
    const fault = this.faults(asked, before);
    if (fault?.kind === 'status') return void outgoing.writeHead(fault.status, fault.headers).end(fault.body);
    if (fault?.kind === 'says') return void outgoing.writeHead(200).end(fault.body);
    if (fault?.kind === 'silent') return;
    if (fault?.kind === 'cut') return void outgoing.destroy();
    const { host: _host, connection: _connection, ...headers } = incoming.headers;
    const behind = request(new URL(asked.path, this.target), { method: incoming.method, headers, agent: false });
    behind.on('error', () => outgoing.destroy());
    outgoing.on('close', () => behind.destroy());
    outgoing.on('error', () => undefined); // `close` follows.
    behind.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    });
    behind.end(bytes);
  }
}
