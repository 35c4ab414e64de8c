/** HTTP as bytes on a socket of its own, so that a test may say any Host, method or body and cut whenever it likes. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { type StreamEvent, isTerminal } from './stream-text.js';

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object travels as JSON, text and bytes as they are. */
  readonly body?: object | string | Buffer;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** @throws when it isn't JSON */
  json<Body = Record<string, never>>(): Body;
}

/** Asks and reads the answer to its end. */
export async function ask(url: string, asked: Asked = {}): Promise<Answered> {
  const response = await send(url, asked);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json: <Body>() => {
      try {
        return JSON.parse(text) as Body;
      } catch {
        throw new Error(`Not JSON (status ${response.statusCode}): ${text.slice(0, 500)}`);
      }
    },
  };
}

export interface SseConnection {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly events: StreamEvent[];
  /** The body so far, as it came. */
  readonly text: string;
  /** Settles at the end of the response, however it came. */
  readonly ended: Promise<void>;
  /** Settles once `look` is true of the events so far. @throws when the response ends before */
  seen(look: (events: readonly StreamEvent[]) => boolean): Promise<void>;
  cut(): void;
}

/** Opens an event stream as `curl -N` does. */
export async function openSse(url: string, { headers, ...asked }: Asked = {}): Promise<SseConnection> {
  const response = await send(url, { ...asked, headers: { accept: 'text/event-stream', ...headers } });
  const events: StreamEvent[] = [];
  let [text, parsed, over] = ['', 0, false];
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n\n', parsed); end >= 0; end = text.indexOf('\n\n', parsed)) {
      const event = parseEvent(text.slice(parsed, end));
      parsed = end + 2;
      if (event) events.push(event);
    }
    tell();
  });
  const ended = new Promise<void>((resolve) => {
    response.once('close', () => {
      over = true;
      tell();
      resolve();
    });
    response.on('error', () => undefined); // A cut connection; `close` follows.
  });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    get text() {
      return text;
    },
    ended,
    seen: (look) =>
      new Promise<void>((resolve, reject) => {
        const check = () => {
          if (look(events)) resolve();
          else if (over) reject(new Error(`The response ended before that: ${text.slice(-500)}`));
          else return;
          listeners.delete(check);
        };
        listeners.add(check);
        check();
      }),
    cut: () => response.destroy(),
  };
}

/** A whole event stream. */
export async function readSse(url: string, asked: Asked = {}): Promise<StreamEvent[]> {
  const connection = await openSse(url, asked);
  await connection.ended;
  if (connection.status !== 200) throw new Error(`Status ${connection.status} instead of an event stream: ${connection.text}`);
  if (!connection.events.some(isTerminal)) throw new Error(`The stream ended without a terminal event: ${connection.text.slice(-500)}`);
  return connection.events;
}

function send(url: string, { method, headers = {}, body }: Asked): Promise<IncomingMessage> {
  const bytes = body === undefined ? undefined : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const json = typeof body === 'object' && !Buffer.isBuffer(body) ? { 'content-type': 'application/json' } : {};
    const sent = request(url, {
      agent: false,
      method: method ?? (bytes === undefined ? 'GET' : 'POST'),
      headers: { ...json, ...(bytes !== undefined && { 'content-length': String(Buffer.byteLength(bytes)) }), ...headers },
    });
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end(bytes);
  });
}

function parseEvent(block: string): StreamEvent | undefined {
  const fields = new Map(
    block
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith(':'))
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).replace(/^ /, '')]),
  );
  const [event, data] = [fields.get('event'), fields.get('data')];
  if (event === undefined || data === undefined) return undefined;
  return { event, data: JSON.parse(data) as Record<string, unknown>, id: fields.get('id') };
}
