/** `ollamesh bench` against the built-in engine: figures of the engine's own, kept on this machine and shown with the model. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Benchmark, Model } from '#contracts';
import { ask } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { CLI, runNode } from '../support/program.js';

describe('bench', () => {
  let mesh: MeshProcess;
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await temporaryFolder();
    mesh = await startMesh({ dataDir });
  }, 60_000);
  afterAll(async () => {
    await mesh.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const modelOf = async () => (await ask(`${mesh.url}/models`)).json<{ models: Model[] }>().models[0]!;

  it('figures: told, kept, and shown with the model, also after a restart', async () => {
    const bench = runNode([CLI, 'bench', 'guide', '--repeats', '2', '--json'], { env: mesh.env });
    expect(await bench.exited).toMatchObject({ code: 0 });
    const benchmark = JSON.parse(bench.stdout) as Benchmark;
    expect(benchmark).toMatchObject({ model: 'guide:latest', digest: (await modelOf()).digest, engine: expect.stringContaining('embedded'), runs: 6 });
    for (const figure of [benchmark.tokensPerSecond, benchmark.promptTokensPerSecond, benchmark.firstTokenMs]) {
      expect(figure.min).toBeGreaterThan(0);
      expect(figure.median).toBeGreaterThanOrEqual(figure.min);
      expect(figure.max).toBeGreaterThanOrEqual(figure.median);
    }
    expect(benchmark.loadMs).toBeGreaterThan(0);
    expect(benchmark.ramBytes).toBeGreaterThan(1e6);
    expect((await modelOf()).benchmark).toEqual(benchmark);
    await mesh.stop();
    mesh = await startMesh({ dataDir });
    expect((await modelOf()).benchmark).toEqual(benchmark);
  }, 120_000);

  it('text: one line for each figure', async () => {
    const bench = runNode([CLI, 'bench', '--repeats', '1'], { env: mesh.env });
    expect(await bench.exited).toMatchObject({ code: 0 });
    expect(bench.stdout).toMatch(/guide:latest on ".+" \(embedded .+\), 3 runs, median \(least to most\):\n {2}first token .+ ms \(.+ to .+\)\n/);
  }, 60_000);

  it('a model that is not here is told', async () => {
    const bench = runNode([CLI, 'bench', 'nobody/has-this'], { env: mesh.env });
    expect(await bench.exited).toMatchObject({ code: 1 });
    expect(bench.stderr).toContain('is not here');
  }, 60_000);
});
