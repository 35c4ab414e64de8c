/** The orchestrator's pure decisions, as tables: which engine, when again, and which state may follow which. */
import { describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import type { EngineStateName } from '#contracts';
import type { Candidate, NotMe } from './drivers/driver.js';
import { EngineRecord } from './engine-record.js';
import { rank } from './rank.js';
import { decideRestart } from './restart-policy.js';

function can(driver: Candidate['driver'], facts: Partial<Candidate> = {}): Candidate {
  return { driver, found: `${driver} found.`, attached: false, gpu: false, downloadBytes: 0, start: () => Promise.reject(new Error('never started')), ...facts };
}
const not = (driver: NotMe['driver']): NotMe => ({ driver, notMe: 'Not here.' });
const pull = { downloadBytes: undefined };

describe('rank', () => {
  it.each<[string, (Candidate | NotMe)[], string[]]>([
    ['an Ollama that runs is attached before anything is started', [can('embedded'), can('docker', { gpu: true }), can('external', { attached: true })], ['external', 'docker', 'embedded']],
    ['a laptop with Ollama installed doesn’t pull a container image', [can('docker', pull), can('native'), can('embedded')], ['native', 'embedded', 'docker']],
    ['Apple Silicon gets no CPU container while native can use Metal', [can('docker'), can('native', { gpu: true }), can('embedded')], ['native', 'docker', 'embedded']],
    ['Apple Silicon gets no CPU container while the embedded engine can use Metal', [can('docker'), not('native'), can('embedded', { gpu: true })], ['embedded', 'docker']],
    ['the embedded engine answers while a large download was not asked for', [can('docker', { downloadBytes: 2e9 }), can('embedded')], ['embedded', 'docker']],
    ['a GPU is worth a download', [can('docker', { gpu: true, ...pull }), can('embedded')], ['docker', 'embedded']],
    ['with all else equal docker comes before native before embedded', [can('embedded'), can('native'), can('docker')], ['docker', 'native', 'embedded']],
    ['nothing at all', [not('docker'), not('embedded')], []],
  ])('order: %s', (_what, answers, order) => {
    const { candidates, choices } = rank(answers);
    expect(candidates.map(({ driver }) => driver)).toEqual(order);
    expect(choices.map(({ driver }) => driver)).toEqual(answers.map(({ driver }) => driver));
    expect(choices.filter(({ chosen }) => chosen).map(({ driver }) => driver)).toEqual(order.slice(0, 1));
  });

  it('reasons: who was not chosen is told why, and how to have it', () => {
    const { choices } = rank([can('docker', pull), can('embedded'), not('native')]);
    expect(choices.map(({ reason }) => reason)).toEqual([
      'docker found. It would have to be downloaded first. To use it: engine.driver "docker".',
      'embedded found.',
      'Not here.',
    ]);
  });
});

describe('restart policy', () => {
  it.each([
    [[0], 0, { restart: true, delayMs: 100 }],
    [[0], 1, { restart: true, delayMs: 200 }],
    [[0, 0, 0], 1, { restart: true, delayMs: 800 }],
    [[0, 0, 0, 0, 0], 1, { restart: false }],
    [[-200_000, -190_000, -180_000, -170_000, 0], 1, { restart: true, delayMs: 200 }],
  ])('deaths at %j with chance %d: %j', (deaths, random, decision) => {
    expect(decideRestart(deaths, 0, random)).toEqual(decision);
  });
});

describe('engine record', () => {
  const published: unknown[] = [];
  const record = () => new EngineRecord({ node: 'local', publish: (_event: unknown, engine: unknown) => void published.push(engine) } as unknown as Bus);

  it.each<EngineStateName[][]>([[['ready']], [['starting', 'ready', 'starting']], [['stopping', 'stopped', 'starting']], [['starting', 'ready', 'failed']]])(
    'transitions: %j ends with one that the table does not have', (path) => {
      const engine = record();
      for (const state of path.slice(0, -1)) engine.enter(state, '');
      const last = path.at(-1) as EngineStateName;
      expect(() => engine.enter(last, '')).toThrow(`An engine can't go from ${path.at(-2) ?? 'absent'} to ${last}.`);
    },
  );

  it('facts: the address is there only while something may answer at it', () => {
    const engine = record();
    engine.enter('starting', 'Starting.', { url: 'http://127.0.0.1:1', version: '1', driver: 'docker' });
    engine.enter('ready', 'It answers.');
    expect(engine.current).toMatchObject({ state: 'ready', url: 'http://127.0.0.1:1', version: '1' });
    engine.enter('restarting', 'It died.');
    expect(engine.current).not.toHaveProperty('url');
    expect(engine.current).toMatchObject({ driver: 'docker', reason: 'It died.' });
    expect(published.at(-1)).toEqual(engine.current);
  });

  it('since: is when the state began, not when its reason changed', async () => {
    const engine = record();
    engine.enter('starting', 'one');
    const { since } = engine.current;
    await new Promise((resolve) => setTimeout(resolve, 5));
    engine.enter('starting', 'two');
    expect(engine.current).toMatchObject({ since, reason: 'two' });
  });
});
