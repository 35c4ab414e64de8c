/** A mesh whose config file is edited while it runs: what a person sees in `ollamesh status`, and what stays as it was. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { ollamesh } from '../support/program.js';
import { until } from '../support/until.js';

let folder: string;
let file: string;
let mesh: MeshProcess;
const status = async () => (await ollamesh(['status'], { env: mesh.env })).stdout;
const write = (content: object) => writeFile(file, JSON.stringify(content));

beforeAll(async () => {
  folder = await temporaryFolder();
  file = join(folder, 'ollamesh.config.json');
  await write({ engine: { parallel: 2 } });
  mesh = await startMesh({ args: ['--config', file] });
}, 60_000);
afterAll(async () => {
  await mesh.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('config file of a mesh that runs', () => {
  it('a model more: it is here, and the engine is the same', async () => {
    const engine = await mesh.engine();
    await write({ engine: { parallel: 2 }, models: { required: ['guide'] } });
    await until('the model is told', async () => /actual +embedded, .*guide:latest present/.test(await status()));
    expect(await status()).toMatch(/wanted +embedded, any port, GPU auto, 2 at once, models guide:latest/);
    expect(await mesh.engine()).toBe(engine);
  }, 60_000);

  it('nonsense: it is refused with the key, and everything runs on', async () => {
    const engine = await mesh.engine();
    await write({ engine: { parallel: 2, port: 70_000 }, models: { required: ['guide'] } });
    const told = await until('it is refused', async () => {
      const now = await status();
      return now.includes('refused') && now;
    });
    expect(told).toMatch(/embedded .* is ready/);
    expect(told).toContain('engine.port must be at most 65535, not 70000');
    expect(await mesh.engine()).toBe(engine);
    await write({ engine: { parallel: 2 }, models: { required: ['guide'] } });
    await until('the refusal is gone', async () => !(await status()).includes('refused'));
  }, 60_000);

  it('another setting of the engine: it is started anew with it', async () => {
    const engine = await mesh.engine();
    await write({ engine: { parallel: 3 }, models: { required: ['guide'] } });
    await until('another engine answers', async () => (await mesh.engine()) !== engine && /embedded .* is ready/.test(await status()));
    expect(await status()).toContain('3 at once');
    expect(mesh.facts).toContainEqual(expect.objectContaining({ what: 'engine', engine: expect.objectContaining({ state: 'restarting', reason: 'The configuration changed: engine.parallel.' }) }));
  }, 60_000);
});
