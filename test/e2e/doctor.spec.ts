/** `ollamesh gpu` and `ollamesh doctor` as programs, with and without a mesh. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Hardware } from '#contracts';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { ollamesh } from '../support/program.js';

let folder: string;
let alone: Record<string, string>;
beforeAll(async () => {
  folder = await temporaryFolder();
  alone = { OLLAMESH_DATA_DIR: join(folder, 'data'), OLLAMESH_GATEWAY_PORT: '0', DOCKER_HOST: 'unix:///nonexistent/docker.sock' };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Report {
  ok: boolean;
  checks: { name: string; state: string; detail: string; next?: string }[];
}

describe('without a mesh', () => {
  it('gpu: reads this machine, and says what fits', async () => {
    const { code, stdout } = await ollamesh(['gpu'], { env: alone });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +memory .*[█░]{20} .*GiB/m);
    expect(stdout).toMatch(/^ +engine +1\. /m);
    const { running, nodes } = JSON.parse((await ollamesh(['gpu', '--json'], { env: alone })).stdout) as { running: boolean; nodes: unknown[] };
    expect(running).toBe(false);
    expect(Hardware.parse(nodes[0])).toMatchObject({ containers: { docker: { state: 'absent' } }, plan: { models: expect.any(Array) } });
  });

  it('doctor: nothing in the way of the built-in engine, exit code 0', async () => {
    const { code, stdout } = await ollamesh(['doctor', '--json'], { env: alone });
    const { ok, checks } = JSON.parse(stdout) as Report;
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    expect(checks.map(({ name }) => name)).toEqual(expect.arrayContaining(['node', 'config', 'data folder', 'disk', 'memory', 'gpu', 'docker', 'ollama', 'llama.cpp', 'mesh', 'port', 'bus', 'engine', 'registry']));
    for (const { state, next } of checks) if (state === 'warn' || state === 'fail') expect(next).toMatch(/\S/);
  });

  it.each<[string, Record<string, string>, string, RegExp]>([
    ['an engine that must be there and is not', { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: 'http://127.0.0.1:9' }, 'engine', /ollama serve/],
    ['Docker wanted and not here', { OLLAMESH_ENGINE: 'docker' }, 'docker', /Docker/],
    ['Ollama wanted and not here', { OLLAMESH_ENGINE: 'native', PATH: '/nonexistent', HOME: '/nonexistent' }, 'ollama', /ollama\.com\/download/],
    ['a bus that is not there', { NATS_URL: 'nats://127.0.0.1:9' }, 'bus', /nats-server/],
    ['a data folder that can\'t be made', { OLLAMESH_DATA_DIR: '/dev/null/data' }, 'data folder', /chown/],
    ['a setting that is none', { OLLAMESH_GATEWAY_PORT: 'many' }, 'config', /settings/],
  ])('doctor: %s: exit code 1, and the next step', async (_, env, name, next) => {
    const { code, stdout } = await ollamesh(['doctor', '--json'], { env: { ...alone, ...env } });
    const { ok, checks } = JSON.parse(stdout) as Report;
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(checks.filter(({ state }) => state === 'fail')).toEqual([expect.objectContaining({ name, next: expect.stringMatching(next) })]);
    expect((await ollamesh(['doctor'], { env: { ...alone, ...env } })).stdout).toContain('1 problem stands in the way.');
  });

  it('doctor: a config file is named', async () => {
    const file = join(folder, 'mesh.json');
    writeFileSync(file, '{"log": {"level": "warn"}}');
    expect((await ollamesh(['doctor', '-c', file], { env: alone })).stdout).toContain(`${file} is valid.`);
  });
});

describe('with a mesh', () => {
  let mesh: MeshProcess;
  beforeAll(async () => {
    mesh = await startMesh({ env: { DOCKER_HOST: 'unix:///nonexistent/docker.sock', OLLAMESH_ENGINE: 'embedded' } });
  });
  afterAll(async () => {
    await mesh.stop();
  });

  it('gpu: shows the nodes of the mesh, with their plans', async () => {
    const { nodes, running } = JSON.parse((await ollamesh(['gpu', '--json'], { env: mesh.env })).stdout) as { running: boolean; nodes: unknown[] };
    expect(running).toBe(true);
    expect(Hardware.parse(nodes[0]).plan?.candidates.at(-1)).toMatchObject({ way: 'cpu' });
  });

  it('doctor: the mesh is ready', async () => {
    const { code, stdout } = await ollamesh(['doctor'], { env: mesh.env });
    expect(code).toBe(0);
    expect(stdout).toContain(`It runs at ${mesh.url}/ and is ready.`);
  });
});
