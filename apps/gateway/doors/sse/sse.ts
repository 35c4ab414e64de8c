/** Server-Sent Events as bytes (https://html.spec.whatwg.org/multipage/server-sent-events.html) and the response that carries them. */
import type { Response } from 'express';

/** An event as it goes over the wire; `id` is the position a client sends back as Last-Event-ID. */
export function encodeEvent(event: string, data: unknown, id?: string): Buffer {
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

export const COMMENT = Buffer.from(':\n\n');

/**
 * Starts an event stream. The body is sent as it is until the connection closes: chunks written past Node's own framing
 * corrupt HTTP/1.0 clients, and its chunked framing would be done anew for every viewer.
 */
export function openEventStream(response: Response): void {
  response.useChunkedEncodingByDefault = false;
  response.socket?.setNoDelay(true);
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    connection: 'close',
  });
  response.flushHeaders();
}
