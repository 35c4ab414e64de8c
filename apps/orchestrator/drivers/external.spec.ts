/** Attaching to an Ollama that runs already: never to a gateway of ours, never stopping it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { FakeOllama } from '../../../test/fakes/fake-ollama.js';
import { type Candidate, type NotMe, isCandidate } from './driver.js';
import { createExternalDriver } from './external.js';

const REPORT = { acquiring: () => undefined, creating: () => undefined, starting: () => undefined };

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function ollama(headers: Record<string, string> = {}): Promise<FakeOllama> {
  const engine = await FakeOllama.start({ headers });
  closing.push(() => engine.close());
  return engine;
}

const probe = (url: string): Promise<Candidate | NotMe> => createExternalDriver({ url }).probe(AbortSignal.timeout(3_000));

async function candidate(url: string): Promise<Candidate> {
  const answer = await probe(url);
  if (!isCandidate(answer)) throw new Error(`not a candidate: ${answer.notMe}`);
  return answer;
}

describe('external driver', () => {
  it('ollama: is attached, and left running when it is stopped', async () => {
    const engine = await ollama();
    const found = await candidate(`${engine.url}/`);
    expect(found).toMatchObject({ attached: true, downloadBytes: 0, found: `Ollama 0.9.9 answers at ${engine.url}.` });
    const running = await found.start(REPORT, AbortSignal.timeout(3_000));
    expect(running.url).toBe(engine.url);
    expect(await running.stop(0)).toBe('left running');
    expect((await candidate(engine.url)).found).toContain('answers');
  });

  it('gateway: one of ours is refused, as it would be a loop', async () => {
    const engine = await ollama({ 'x-ollamesh': '0.1.0' });
    expect(await probe(engine.url)).toEqual({ driver: 'external', notMe: `An ollamesh gateway answers at ${engine.url}; attaching to it would make a loop.` });
  });

  it('configured: an address that does not answer yet is taken, and said', async () => {
    const engine = await ollama();
    const { url } = engine;
    await engine.close();
    closing.pop();
    expect(await candidate(url)).toMatchObject({ attached: true, found: `${url} is configured, but does not answer yet.` });
  });

  it('configured: an engine that hangs does not hold up the start', async () => {
    const engine = await ollama();
    engine.hung = true;
    expect((await candidate(engine.url)).found).toContain('does not answer yet');
  });

  it.each(['<h1>Hello</h1>', '{"version":7}', 'null'])('somebody else who says %s is no Ollama', async (text) => {
    const server = createServer((_request, response) => void response.end(text));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => server.close());
    expect((await candidate(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).found).toContain('does not answer yet');
  });

  it('default: nothing at the usual address is no candidate', async () => {
    const answer = await createExternalDriver({}).probe(AbortSignal.abort());
    expect(answer).toEqual({ driver: 'external', notMe: 'No Ollama answers at http://127.0.0.1:11434.' });
  });
});
