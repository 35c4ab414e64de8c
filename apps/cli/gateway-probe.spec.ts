/** What is asked of a gateway before a command begins, against a server that says what the test wants. */
import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { GatewayProbe, engineAnswering } from './gateway-probe.js';

/** Serves `answers` one after the other, the last one again and again. */
async function serving(...answers: RequestListener[]) {
  let asked = 0;
  const server = createServer((request, response) => answers[Math.min(asked++, answers.length - 1)]?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { probe: new GatewayProbe(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'key'), close, [Symbol.dispose]: close };
}
const says = (status: number, body: object | string): RequestListener => (_request, response) => void response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
const engine = (more: object) => says(200, { nodes: [{ state: 'starting', reason: 'It starts.', ...more }] });
const refusal = (code: string) => ({ error: { code, message: 'Not you.', retryable: false } });

describe('GatewayProbe', () => {
  it('answers: only an ollamesh gateway does', async () => {
    using server = await serving((_request, response) => void response.setHeader('x-ollamesh', '0.1.0').end('{}'), says(200, 'Ollama is running'));
    expect([await server.probe.answers(), await server.probe.answers()]).toEqual([true, false]);
    server.close();
    expect(await server.probe.answers()).toBe(false);
    await expect(server.probe.letsIn()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('letsIn: with its key, or not', async () => {
    using server = await serving((request, response) => void response.writeHead(request.headers['x-api-key'] === 'key' ? 200 : 500).end(), says(401, refusal('unauthorized')));
    expect([await server.probe.letsIn(), await server.probe.letsIn()]).toEqual([true, false]);
  });
});

describe('engineAnswering', () => {
  it('waits through starts and bad answers until one has an address', async () => {
    using server = await serving(engine({}), says(502, '<h1>Bad gateway</h1>'), engine({ url: 'http://127.0.0.1:1' }));
    await engineAnswering(server.probe, 20_000);
  });

  it('gives up with the last reason, at once where no key is enough, and when it is told to', async () => {
    using starting = await serving(engine({}));
    await expect(engineAnswering(starting.probe, 150)).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('it is starting: It starts.') });
    using refusing = await serving(says(401, refusal('unauthorized')));
    await expect(engineAnswering(refusing.probe, 20_000)).rejects.toMatchObject({ code: 'unauthorized', message: 'Not you.' });
    await expect(engineAnswering(starting.probe, 20_000, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  });
});
