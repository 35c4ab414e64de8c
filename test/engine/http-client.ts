/** A plain HTTP client for tests: any header (Host and Origin too), any body, and a stream that can be left. */
import { request, type IncomingMessage } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** The whole answer. */
export async function ask(url: string, asked: Asked): Promise<Answer> {
  const response = await open(url, asked);
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') };
}

/** The answer's head; its body is the caller's to read or to destroy. */
export function open(url: string, { method = 'POST', path, headers = {}, body }: Asked, signal?: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, url), { method, headers: { ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }), ...headers }, agent: false, ...(signal === undefined ? {} : { signal }) }, resolve);
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** NDJSON lines, parsed. */
export function ndjson(text: string): Record<string, unknown>[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}
