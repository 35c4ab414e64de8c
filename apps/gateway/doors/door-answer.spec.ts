/** The head of an answer whose origin is known late: it waits for the first content, and no longer than a connection may be idle. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Response } from 'express';
import type { CreatedStream } from '#contracts';
import type { Update } from '../relay/viewer.js';
import { DoorAnswer } from './door-answer.js';
import { chatCompletionFormat } from './openai/formats.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const STATUS: Update = { event: 'delta', data: { streamId: 's', position: '1-1', parts: [], status: { kind: 'loading', model: 'm' } } };
const TEXT: Update = { event: 'delta', data: { streamId: 's', position: '1-2', parts: [{ kind: 'text', text: 'word' }] } };
const NOTHING = Buffer.alloc(0);

/** A streamed answer of a door, and the client's side of it. */
async function opened(waits: boolean) {
  let provider = 'nobody yet';
  const server = createServer();
  const asked = once(server, 'request');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => (server.closeAllConnections(), server.close()));
  const head = fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const response = ((await asked) as [unknown, Response])[1];
  const tell = () => void response.setHeader('x-provider', provider);
  const format = chatCompletionFormat({ model: 'm', usage: false }, { id: 's' } as CreatedStream);
  const answer = new DoorAnswer(response, format, true, 1024, { tell, waits });
  return { answer, head, response, found: () => (provider = 'peer') };
}

describe('head of an answer', () => {
  it('goes out with what the stream waits for, where there is nothing to wait for', async () => {
    const { answer, head, response } = await opened(false);
    answer.write(NOTHING, [STATUS]);
    expect(response.headersSent).toBe(true);
    expect((await head).headers.get('x-provider')).toBe('nobody yet');
  });

  it('waits for the first content where that says who answers', async () => {
    const { answer, head, response, found } = await opened(true);
    answer.write(NOTHING, [STATUS]);
    expect(response.headersSent).toBe(false);
    found();
    answer.write(NOTHING, [TEXT]);
    expect((await head).headers.get('x-provider')).toBe('peer');
  });

  it('goes out without it before the connection is idle for too long', async () => {
    const { answer, head } = await opened(true);
    answer.write(NOTHING, [STATUS]);
    answer.keepAlive();
    const { status, headers } = await head;
    expect([status, headers.get('x-provider')]).toEqual([200, 'nobody yet']);
  });
});
