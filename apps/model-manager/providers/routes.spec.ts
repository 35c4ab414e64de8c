/** Targets that fail again and again are passed over. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { Config } from '#config';
import type { InferenceLine } from '#ollama';
import { Routes } from './routes.js';

it('a provider that failed three times: is not asked again for a while, the next answers each time', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.writeHead(503).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const routes = new Routes(Config.parse({ providers: { bad: { type: 'openai-compatible', url } }, routing: { aliases: { Best: ['bad:m', 'ollama:tiny'] } } }));
  const targets = routes.targetsOf('best:latest') ?? [];
  async function* local(model: string) {
    yield [{ response: model, done: true }] as InferenceLine[];
  }
  const answers: (string | undefined)[] = [];
  for (let round = 0; round < 5; round++) {
    for await (const [line] of routes.answer(targets, { prompt: 'hi' }, local, new AbortController().signal)) answers.push(line?.response);
  }
  expect({ asked, answers }).toEqual({ asked: 3, answers: Array.from({ length: 5 }, () => 'tiny:latest') });
  expect(routes.targetsOf('tiny:latest')).toBeUndefined();
  await routes.onApplicationShutdown();
  server.closeAllConnections();
  server.close();
});
