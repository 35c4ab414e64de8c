/** What a person, a terminal and a machine read while a mesh starts. */
import { describe, expect, it } from '@jest/globals';
import type { Engine, Hardware, Model } from '#contracts';
import { type StartUpFact, TextView, jsonView } from './start-up-view.js';

const ENGINE: Engine = { node: 'local', state: 'absent', reason: 'Not looked for yet.', since: '2026-01-01T00:00:00.000Z', choices: [], models: [] };
const HARDWARE: Hardware = {
  node: 'local',
  sampledAt: '2026-01-01T00:00:00.000Z',
  os: { platform: 'linux', distribution: 'Debian', release: '12', arch: 'x64' },
  cpu: { brand: 'Xeon', cores: 2, physicalCores: 1, loadPercent: 1 },
  memory: { totalBytes: 8 * 1024 ** 3, availableBytes: 1 },
  gpus: [{ index: 0, vendor: 'nvidia', name: 'RTX 4070', vramTotalBytes: 12 * 1024 ** 3 }],
  findings: ['No container runtime.'],
  warnings: [],
};
const GUIDE: Model = { node: 'local', name: 'guide:latest', digest: 'x', sizeBytes: 3_817_920, modifiedAt: '', residency: { state: 'on-disk' } };

/** The lines that came of `facts`. */
function told(facts: StartUpFact[], colour = false): string[] {
  let text = '';
  const view = new TextView((piece) => (text += piece), colour);
  for (const fact of facts) view.tell(fact);
  return text.split('\n').map((line) => line.trimEnd());
}

describe('text view', () => {
  it('config and bus: where they come from', () => {
    const lines = told([
      { what: 'config', file: '/home/u/ollamesh.config.ts', notices: ['gateway.port is set twice.'] },
      { what: 'bus', url: 'nats://127.0.0.1:1', reason: 'built-in NATS broker' },
    ]);
    expect(lines).toEqual(expect.arrayContaining(['  config    /home/u/ollamesh.config.ts', '  config    gateway.port is set twice.', '  bus       built-in NATS broker']));
  });

  it('hardware: told once, with its GPUs and what was not found', () => {
    const lines = told([{ what: 'hardware', hardware: HARDWARE }, { what: 'hardware', hardware: HARDWARE }]);
    expect(lines.filter((line) => line.includes('Xeon'))).toEqual(['  hardware  Xeon, 2 cores, 8.0 GiB memory, Debian 12']);
    expect(lines).toContain('  hardware  GPU RTX 4070, 12.0 GiB VRAM');
    expect(lines).toContain('  hardware  No container runtime.');
  });

  it('engine: what was chosen and why, each change once', () => {
    const choices: Engine['choices'] = [
      { driver: 'docker', chosen: false, reason: 'Docker is not here.' },
      { driver: 'embedded', chosen: true, reason: 'Nothing to install.' },
    ];
    const ready: Engine = { ...ENGINE, choices, state: 'ready', reason: 'It answers.', driver: 'embedded', version: '0.1.0' };
    const lines = told([ENGINE, { ...ENGINE, choices }, { ...ENGINE, choices, state: 'starting', reason: 'Starting.' } as Engine, ready, ready].map((engine) => ({ what: 'engine', engine })));
    expect(lines).toEqual([
      '  engine    · docker: Docker is not here.',
      '  engine    ✓ embedded: Nothing to install.',
      '  engine    starting: Starting.',
      '  engine    embedded 0.1.0 is ready: It answers.',
      '',
    ]);
  });

  it('engine: a death comes with the last lines of its log', () => {
    const lastLogLines = ['1', '2', '3', '4', '5', 'CUDA error'];
    const lines = told([{ what: 'engine', engine: { ...ENGINE, state: 'restarting', reason: 'The engine died.', lastLogLines } }]);
    expect(lines[0]).toBe('  engine    restarting: The engine died.');
    expect(lines.slice(1, 6).map((line) => line.trim())).toEqual(['2', '3', '4', '5', 'CUDA error']);
  });

  it('engine: how far a download is, a line at every tenth; the GPU and a refused change once', () => {
    const at = (percent: number): Engine => ({
      ...ENGINE,
      state: 'acquiring',
      reason: 'Pulling x.',
      acquiredPercent: percent,
      acquired: { completedBytes: percent * 1e7, totalBytes: 1e9, bytesPerSecond: 1e7, etaSeconds: 100 - percent },
    });
    const gpu: Engine['gpu'] = { state: 'none', reason: 'No GPU was found.' };
    const refused = 'engine.parallel must be at least 1';
    const ready: Engine = { ...ENGINE, state: 'ready', reason: 'It answers.', driver: 'docker', gpu };
    const lines = told([at(1), at(2), at(15), at(16), ready, ready, { ...ready, refused }, { ...ready, refused }].map((engine) => ({ what: 'engine', engine })));
    expect(lines).toEqual([
      '  engine    acquiring: Pulling x.',
      '  engine    acquiring: 1 % of 1.00 GB, 10.0 MB/s, 2 min left',
      '  engine    acquiring: 15 % of 1.00 GB, 10.0 MB/s, 85 s left',
      '  engine    docker is ready: It answers.',
      '  engine    no GPU (No GPU was found)',
      '  config    not taken over: engine.parallel must be at least 1',
      '',
    ]);
  });

  it('gateway: another port than the wanted one is said', () => {
    expect(told([{ what: 'gateway', url: 'http://127.0.0.1:11436', wantedPort: 11_435, port: 11_436, keeps: 'in memory' }])).toContain('  gateway   port 11435 is taken, so it listens on 11436');
    for (const wantedPort of [0, 11_436]) {
      expect(told([{ what: 'gateway', url: 'http://127.0.0.1:11436', wantedPort, port: 11_436, keeps: 'in memory' }])).toEqual(['  gateway   listens on http://127.0.0.1:11436', '  gateway   keeps sessions and finished streams in memory', '']);
    }
  });

  it('ready: where to go, and what the built-in model is', () => {
    const lines = told([{ what: 'ready', url: 'http://127.0.0.1:11435', models: [GUIDE], model: GUIDE.name, afterMs: 1_234 }]);
    expect(lines).toContain('  models    guide:latest (default), 3.8 MB');
    expect(lines).toContain('  Ready after 1.2 s. Ctrl-C stops everything.');
    expect(lines).toContain('  Page  http://127.0.0.1:11435/');
    expect(lines.join('\n')).toMatch(/tiny built-in model/);
    expect(told([{ what: 'ready', url: 'http://x', models: [], model: undefined, afterMs: 1 }])).toContain('  models    Pull one: ollamesh pull llama3.2');
  });

  it('colour: on a terminal only', () => {
    const fact: StartUpFact = { what: 'bus', url: 'x', reason: 'here' };
    expect(told([fact])[0]).not.toContain('\u001b');
    expect(told([fact], true)[0]).toContain('\u001b[1m');
  });
});

describe('json view', () => {
  it('every fact is one line of JSON', () => {
    const written: string[] = [];
    const view = jsonView((text) => void written.push(text));
    view.tell({ what: 'engine', engine: { ...ENGINE, reason: 'two\nlines' } });
    view.tell({ what: 'gateway', url: 'http://x', wantedPort: 1, port: 2, keeps: 'in memory' });
    expect(written).toHaveLength(2);
    for (const line of written) expect(line.match(/\n/g)).toHaveLength(1);
    expect(JSON.parse(written[0] ?? '')).toEqual({ what: 'engine', engine: { ...ENGINE, reason: 'two\nlines' } });
  });
});
