/** What a person reads while a mesh starts and a model is pulled. */
import { describe, expect, it } from '@jest/globals';
import type { Engine, Hardware, Model, PullProgress } from '#contracts';
import { ProgressBar } from './progress-bar.js';
import { type StartUpFact, TextView, jsonView } from './start-up-view.js';

const ENGINE: Engine = { node: 'local', state: 'starting', reason: 'Starting the built-in engine.', since: '2026-01-01T00:00:00Z', driver: 'embedded', choices: [], models: [] };
const HARDWARE: Hardware = {
  node: 'local',
  sampledAt: '2026-01-01T00:00:00Z',
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'Some CPU', cores: 8, physicalCores: 4, loadPercent: 1 },
  memory: { totalBytes: 16 * 1024 ** 3, availableBytes: 1 },
  gpus: [{ index: 0, vendor: 'nvidia', name: 'RTX', vramTotalBytes: 8 * 1024 ** 3 }],
  findings: ['nvidia-smi answered.'],
};

function shown(facts: readonly StartUpFact[], colour = false): string[] {
  let text = '';
  const view = new TextView((piece) => (text += piece), colour);
  for (const fact of facts) view.tell(fact);
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
}

const ready = (models: Model[], model?: string): StartUpFact => ({ what: 'ready', url: 'http://127.0.0.1:11435', models, model, afterMs: 1_234 });
const model = (name: string): Model => ({ name, digest: '', sizeBytes: 800_000, modifiedAt: '', loaded: false });

describe('start-up view', () => {
  it('bus and hardware: what was found, hardware once', () => {
    const lines = shown([{ what: 'bus', url: 'nats://x', reason: 'built-in NATS broker' }, { what: 'hardware', hardware: HARDWARE }, { what: 'hardware', hardware: HARDWARE }]);
    expect(lines).toEqual([
      'bus       built-in NATS broker',
      'hardware  Some CPU, 8 cores, 16.0 GiB memory, Debian 12',
      'hardware  GPU RTX, 8.0 GiB VRAM',
      'hardware  nvidia-smi answered.',
    ]);
  });

  it('engine: every choice with its reason, each state once', () => {
    const choices = [{ driver: 'docker' as const, chosen: false, reason: 'No Docker.' }, { driver: 'embedded' as const, chosen: true, reason: 'Needs nothing.' }];
    const engine = { ...ENGINE, choices };
    const lines = shown([{ what: 'engine', engine }, { what: 'engine', engine }, { what: 'engine', engine: { ...engine, state: 'ready', reason: 'It answers.', version: '0.1' } }]);
    expect(lines).toEqual(['engine    · docker: No Docker.', 'engine    ✓ embedded: Needs nothing.', 'engine    starting: Starting the built-in engine.', 'engine    embedded 0.1 is ready: It answers.']);
  });

  it('engine: one that died shows its last log lines', () => {
    const lines = shown([{ what: 'engine', engine: { ...ENGINE, state: 'restarting', reason: 'The engine died.', lastLogLines: ['1', '2', '3', '4', '5', 'out of memory'] } }]);
    expect(lines).toEqual(['engine    restarting: The engine died.', '2', '3', '4', '5', 'out of memory']);
  });

  it('gateway: a port that was taken is said', () => {
    expect(shown([{ what: 'gateway', url: 'http://127.0.0.1:11436', wantedPort: 11_435, port: 11_436 }])[0]).toBe('gateway   port 11435 is taken, so it listens on 11436');
    expect(shown([{ what: 'gateway', url: 'http://127.0.0.1:5', wantedPort: 0, port: 5 }])).toEqual(['gateway   listens on http://127.0.0.1:5']);
  });

  it('ready: the links, and plainly that the built-in model is a tiny one', () => {
    const lines = shown([ready([model('guide:latest')], 'guide:latest')]);
    expect(lines).toContain('models    guide:latest (default), 0.8 MB');
    expect(lines.join('\n')).toContain('tiny built-in model');
    expect(lines).toContain('Ready after 1.2 s. Ctrl-C stops everything.');
    expect(lines).toContain('Page  http://127.0.0.1:11435/');
  });

  it('ready: a real model needs no excuse, none needs a hint', () => {
    expect(shown([ready([model('llama3.2:latest')], 'llama3.2:latest')]).join()).not.toContain('tiny');
    expect(shown([ready([])])).toContain('models    Pull one: ollamesh pull llama3.2');
  });

  it('colour: only where it was asked for', () => {
    const fact: StartUpFact = { what: 'bus', url: '', reason: 'x' };
    expect(shown([fact]).join()).not.toContain('\u001b');
    expect(shown([fact], true).join()).toContain('\u001b');
  });

  it('json: one object a line', () => {
    const lines: string[] = [];
    jsonView((line) => void lines.push(line)).tell({ what: 'bus', url: 'nats://x', reason: 'y' });
    expect(lines).toEqual(['{"what":"bus","url":"nats://x","reason":"y"}\n']);
  });
});

describe('progress bar', () => {
  const progress = (facts: Partial<PullProgress> = {}): PullProgress => ({
    node: 'local', model: 'm:latest', status: 'pulling', step: 'pulling manifest', completedBytes: 5e6, totalBytes: 10e6, bytesPerSecond: 2e6, etaSeconds: 3, ...facts,
  });
  function drawn(isTTY: boolean, ...shows: PullProgress[]): string {
    let text = '';
    const bar = new ProgressBar({ isTTY, write: (piece: string) => (text += piece) });
    for (const each of shows) bar.show(each);
    bar.end();
    return text;
  }

  it('terminal: a bar that is drawn over itself', () => {
    expect(drawn(true, progress())).toBe(`\r\u001b[2Km:latest  ${'█'.repeat(14)}${'░'.repeat(14)}  50 % of 10.0 MB, 2.0 MB/s, 3 s left\n`);
    expect(drawn(true, progress({ totalBytes: 0 }))).toContain('m:latest  pulling manifest');
  });

  it('terminal: an engine that reports too much or nothing draws no nonsense', () => {
    expect(drawn(true, progress({ completedBytes: 20e6 }))).toContain(`${'█'.repeat(28)}  100 %`);
    expect(drawn(true, progress({ bytesPerSecond: 0, etaSeconds: undefined }))).toContain('50 % of 10.0 MB\n');
  });

  it('elsewhere: a line every few seconds, not one for each report', () => {
    expect(drawn(false, progress(), progress({ completedBytes: 6e6 }))).toBe('m:latest: 50 % of 10.0 MB, 2.0 MB/s, 3 s left\n');
  });
});
