/** How often the engine is asked what it has in memory, with an engine in the test's hands. */
import { expect, it } from '@jest/globals';
import { Config } from '#config';
import type { RunningModel } from '#ollama';
import type { Logger } from '#runtime';
import type { EngineLink } from './engine-link.js';
import { Residency } from './residency.js';

const settled = () => new Promise((resolve) => setImmediate(resolve));

it('first tokens of many answers at once: the engine is asked once, and once more for those that came meanwhile', async () => {
  const questions: ((running: RunningModel[]) => void)[] = [];
  const client = { running: () => new Promise<RunningModel[]>((resolve) => void questions.push(resolve)) };
  const residency = new Residency({ available: true, client: async () => client } as unknown as EngineLink, Config.parse({}) as never, {} as Logger);
  const ends = Array.from({ length: 200 }, () => residency.beginLoading('tiny:latest'));
  expect(residency.of('tiny:latest').state).toBe('loading');
  for (const loaded of ends) loaded();
  await settled();
  expect(questions).toHaveLength(1);
  questions[0]?.([]);
  await settled();
  expect(questions).toHaveLength(2);
  questions[1]?.([{ name: 'tiny:latest', model: 'tiny:latest', size: 10, size_vram: 0 } as RunningModel]);
  await settled();
  expect(questions).toHaveLength(2);
  expect(residency.of('tiny:latest').state).toBe('resident');
});
