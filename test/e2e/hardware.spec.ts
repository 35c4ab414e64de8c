/** A mesh on a machine with a GPU, whose nvidia-smi is a script that gives what a real one gave: who listens sees its load move. */
import { chmod, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Hardware } from '#contracts';
import { ask, openSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { ollamesh } from '../support/program.js';

const recorded = (file: string): string => readFileSync(`test/fixtures/hardware/rtx-4080-super/${file}`, 'utf8').trim();
const IDLE = recorded('nvidia-smi.csv');
const BUSY = IDLE.replace(' 7, 46,', ' 93, 71,');
const SCRIPT = `#!/bin/sh
case "$1" in
  *index,name*) cat "$(dirname "$0")/now.csv" ;;
  *compute_cap*) echo "${recorded('compute-cap.csv')}" ;;
  *) echo "${recorded('addressing-mode.csv')}" ;;
esac
`;

describe('a mesh with a GPU', () => {
  let folder: string;
  let mesh: MeshProcess;
  const show = (csv: string): Promise<void> => writeFile(join(folder, 'now.csv'), `${csv}\n`);

  beforeAll(async () => {
    folder = await temporaryFolder();
    await show(IDLE);
    await writeFile(join(folder, 'nvidia-smi'), SCRIPT);
    await chmod(join(folder, 'nvidia-smi'), 0o755);
    mesh = await startMesh({ env: { PATH: `${folder}${delimiter}${process.env['PATH']}` } });
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('GET /hardware and `ollamesh gpu`: the GPU, its ways into a container, what fits', async () => {
    const { nodes } = (await ask(`${mesh.url}/hardware`)).json<{ nodes: Hardware[] }>();
    expect(nodes).toMatchObject([{ gpus: [{ name: 'NVIDIA GeForce RTX 4080 SUPER', utilizationPercent: 7, computeCapability: '8.9' }], plan: { candidates: [{ way: 'nvidia' }, { way: 'cpu' }], memory: { gpus: 1 } } }]);
    const { code, stdout } = await ollamesh(['gpu'], { env: mesh.env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/NVIDIA GeForce RTX 4080 SUPER +[█░]{20} +1\.4 of 16\.0 GiB +7 % busy/);
    expect(stdout).toMatch(/on the GPU .*GiB/);
  });

  it('who listens: hears that the GPU got busy and rests again, without asking', async () => {
    const stream = await openSse(`${mesh.url}/events`);
    const loads = () => stream.events.filter(({ event }) => event === 'hardware').map(({ data }) => (data as unknown as Hardware).gpus[0]?.utilizationPercent);
    try {
      await stream.seen(() => loads().includes(7));
      await show(BUSY);
      // Nobody reads in between but the agent itself: a reading for someone who asks would not be published.
      await stream.seen(() => loads().includes(93));
      await show(BUSY.replace(' 93,', ' 42,'));
      await stream.seen(() => loads().includes(42));
    } finally {
      stream.cut();
    }
    // Other news, such as the processor's load, repeats them.
    expect(loads().filter((load, index, all) => load !== all[index - 1])).toEqual([7, 93, 42]);
  }, 25_000);
});
