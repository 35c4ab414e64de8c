/** Recommendations: what suits a task on a machine, by the plan, by what was measured there and by what is in memory. */
import { describe, expect, it } from '@jest/globals';
import { type Model, RecommendedModel } from '#contracts';
import { catalogue } from './catalogue.js';
import { type Machine, modelsFor, ranked } from './recommend.js';

const GB = 1e9;
const SETTINGS: Omit<Machine['plan']['settings'], 'reasons'> = { contextLength: 4_096, parallel: 1, kvCacheType: 'f16', flashAttention: true };

function machine(memory: { gpuBytes?: number; cpuBytes: number }, models: Model[] = [], onGpu: Record<string, number> = {}): Machine {
  const fits = Object.entries(onGpu).map(([model, tokensPerSecond]) => ({ model, fit: 'gpu' as const, needsBytes: 1, readsBytes: 1, tokensPerSecond, gpuPercent: 100, tasks: ['chat'] }));
  return { node: 'here', plan: { settings: { ...SETTINGS, reasons: [] }, memory: { gpuBytes: 0, gpus: memory.gpuBytes ? 1 : 0, ...memory }, models: fits }, models };
}

function installed(name: string, sizeBytes: number, more: Partial<Model> = {}): Model {
  return { node: 'here', name, digest: 'd', sizeBytes, modifiedAt: '2026-01-01T00:00:00Z', capabilities: ['completion'], residency: { state: 'on-disk' }, ...more };
}

function benchmark(tokensPerSecond: number): NonNullable<Model['benchmark']> {
  const spread = { median: tokensPerSecond, min: tokensPerSecond, max: tokensPerSecond };
  return { node: 'here', model: 'm', digest: 'd', at: '2026-01-01T00:00:00Z', engine: 'e', runs: 3, firstTokenMs: spread, promptTokensPerSecond: spread, tokensPerSecond: spread, loadMs: 1, vramBytes: 0, ramBytes: 1 };
}

const best = (of: Machine, task: Parameters<typeof ranked>[1], priority: Parameters<typeof ranked>[2]) => ranked(modelsFor(task, of), task, priority);
const names = (rows: readonly RecommendedModel[]) => rows.map(({ model }) => model);

describe('recommendations', () => {
  it('tasks: each has models of the catalogue, and only those made for it', () => {
    for (const task of ['chat', 'code', 'embed', 'vision', 'reasoning'] as const) {
      const rows = best(machine({ cpuBytes: 64 * GB }), task, 'quality');
      expect(rows.length).toBeGreaterThan(0);
      expect(names(rows).toSorted()).toEqual(catalogue().filter(({ tasks }) => tasks.includes(task)).map(({ name }) => name).toSorted());
      for (const row of rows) expect(() => RecommendedModel.parse(row)).not.toThrow();
    }
  });

  it('quality: the largest that is quick enough; what is slower than one reads comes after it, what fits nowhere last', () => {
    const rows = best(machine({ cpuBytes: 20 * GB }), 'chat', 'quality');
    const [first] = rows;
    expect(first?.speed?.tokensPerSecond).toBeGreaterThanOrEqual(8);
    expect(first?.model).toBe('qwen3:30b'); // Of its experts a token uses few.
    const order = rows.map(({ fit, speed }) => (fit === 'no' ? 2 : (speed?.tokensPerSecond ?? 0) < 8 ? 1 : 0));
    expect(order).toEqual(order.toSorted());
    expect(new Set(order)).toEqual(new Set([0, 1, 2]));
    expect(rows.at(-1)?.why).toMatch(/^\d.*more than there is\.$/);
  });

  it('speed: the quickest first', () => {
    const rows = best(machine({ cpuBytes: 20 * GB }), 'chat', 'speed').filter(({ fit }) => fit !== 'no');
    const speeds = rows.map(({ speed }) => speed?.tokensPerSecond ?? 0);
    expect(speeds).toEqual(speeds.toSorted((a, b) => b - a));
    expect(rows[0]?.parametersBillions).toBeLessThan(1.5);
  });

  it('memory: broken down, and the sum of its parts', () => {
    const { memory, fit } = best(machine({ gpuBytes: 24 * GB, cpuBytes: 20 * GB }), 'chat', 'quality').find(({ model }) => model === 'llama3.1:8b') ?? {};
    const { totalBytes = 0, weightBytes = 0, kvBytes = 0, workingBytes = 0, overheadBytes = 0, from } = memory ?? {};
    expect({ fit, from }).toEqual({ fit: 'gpu', from: 'formula' });
    expect(kvBytes).toBe(32 * 8 * 128 * 2 * 2 * 4_096); // Layers, heads, their size, keys and values, two bytes each, tokens.
    expect(Math.abs(weightBytes + kvBytes + workingBytes + overheadBytes - totalBytes)).toBeLessThanOrEqual(2);
  });

  it('measured: a benchmark here goes before what is expected, and corrects the others that run as it does', () => {
    const before = best(machine({ cpuBytes: 20 * GB }), 'chat', 'quality').find(({ model }) => model === 'llama3.1:8b')?.speed;
    const three = installed('llama3.2:3b', 2.02 * GB, { benchmark: benchmark(2) });
    const rows = best(machine({ cpuBytes: 20 * GB }, [three]), 'chat', 'quality');
    expect(rows.find(({ model }) => model === 'llama3.2:3b')).toMatchObject({ installed: true, speed: { tokensPerSecond: 2, from: 'measured' } });
    const after = rows.find(({ model }) => model === 'llama3.1:8b')?.speed;
    expect([before?.from, after?.from]).toEqual(['expected', 'corrected']);
    expect(after?.tokensPerSecond).toBeLessThan((before?.tokensPerSecond ?? 0) / 2);
  });

  it('measured: a model too small to show the speed of memory corrects nothing', () => {
    const tiny = installed('guide:latest', 3_800_000, { parameterSize: '3.54M', benchmark: benchmark(2_400) });
    const rows = best(machine({ cpuBytes: 20 * GB }, [tiny]), 'chat', 'speed');
    expect(rows.find(({ model }) => model === 'llama3.1:8b')?.speed?.from).toBe('expected');
    expect(names(rows)[0]).not.toBe('guide:latest');
    expect(rows.find(({ model }) => model === 'guide:latest')?.why).toBe('It is here; 0.00354 billion parameters; its 0.0 GB fit in the machine\'s memory; too small to know much.');
  });

  it('observed: what a model takes in memory goes before the formula', () => {
    const resident = installed('llama3.1:8b', 4.9 * GB, { residency: { state: 'resident', vramBytes: 3 * GB, ramBytes: 3 * GB } });
    const row = best(machine({ gpuBytes: 24 * GB, cpuBytes: 20 * GB }, [resident]), 'chat', 'quality').find(({ model }) => model === 'llama3.1:8b');
    expect(row).toMatchObject({ fit: 'partial', gpuPercent: 50, memory: { totalBytes: 6 * GB, from: 'observed' } });
  });

  it('names: a model under another tag is the catalogue\'s if its size and quantization are', () => {
    const row = (parameterSize: string) => names(best(machine({ cpuBytes: 20 * GB }, [installed('llama3.2:latest', 2.02 * GB, { parameterSize, quantization: 'Q4_K_M' })]), 'chat', 'quality'));
    expect(row('3.2B')).not.toContain('llama3.2:3b');
    expect(row('7B')).toContain('llama3.2:3b');
  });

  it('unknown models: their capabilities and their name say what they are for', () => {
    const mine = installed('ann/my-coder:latest', GB, { capabilities: ['completion', 'thinking'], parameterSize: '1B' });
    for (const task of ['chat', 'code', 'reasoning'] as const) expect(names(best(machine({ cpuBytes: 20 * GB }, [mine]), task, 'quality'))).toContain(mine.name);
    for (const task of ['embed', 'vision'] as const) expect(names(best(machine({ cpuBytes: 20 * GB }, [mine]), task, 'quality'))).not.toContain(mine.name);
  });

  it('several nodes: a model is told once, of where it does best', () => {
    const rows = [...modelsFor('chat', machine({ cpuBytes: 8 * GB })), ...modelsFor('chat', { ...machine({ gpuBytes: 24 * GB, cpuBytes: 8 * GB }, [], { 'llama3.1:8b': 90 }), node: 'gpu' })];
    const told = ranked(rows, 'chat', 'speed').filter(({ model }) => model === 'llama3.1:8b');
    expect(told).toMatchObject([{ node: 'gpu', fit: 'gpu', speed: { tokensPerSecond: 90, from: 'expected' } }]);
  });
});
