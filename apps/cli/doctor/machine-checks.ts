/** Checks of the machine itself: Node, the data folder, disk, memory, GPUs, Docker and an installed Ollama. */
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LoadedConfig } from '#config';
import type { Hardware } from '#contracts';
import { type Where, findOllama } from '#ollama';
import { gibibytes } from '../view/units.js';
import type { Check, Verdict } from './check.js';

const GIB = 1024 ** 3;
/** A model worth using has a few gigabytes; without this much none fits. */
const LEAST_DISK_BYTES = 2 * GIB;
const COMFORTABLE_DISK_BYTES = 12 * GIB;
const LEAST_MEMORY_BYTES = 2 * GIB;

/** @param oldest such as "20.19" */
export function nodeCheck(version: string, oldest: string): Check {
  return {
    name: 'node',
    run: async () =>
      isAtLeast(version, oldest)
        ? { state: 'ok', detail: `Node ${version}.` }
        : { state: 'fail', detail: `Node ${version} is older than ${oldest}, which ollamesh needs.`, next: 'Install Node 22 or newer: https://nodejs.org (or: nvm install 22)' },
  };
}

function isAtLeast(version: string, oldest: string): boolean {
  const [mine, needed] = [version, oldest].map((text) => text.replace(/^v/, '').split('.').map(Number)) as [number[], number[]];
  const difference = needed.map((part, index) => (mine[index] ?? 0) - part).find((part) => part !== 0);
  return (difference ?? 0) >= 0;
}

/** The folder itself, or the nearest above it that is there: it is made at the first start. */
async function existing(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    try {
      await access(path);
      return path;
    } catch {
      if (path === dirname(path)) return path; // The root of the file system.
    }
  }
}

export function diskChecks({ dataDir }: Pick<LoadedConfig, 'dataDir'>): Check[] {
  return [
    {
      name: 'data folder',
      run: async () => {
        const place = await existing(dataDir);
        try {
          await access(place, constants.W_OK | constants.X_OK);
          return { state: 'ok', detail: place === dataDir ? `${dataDir} can be written.` : `${dataDir} will be made at the first start.` };
        } catch {
          return { state: 'fail', detail: `${place} can't be written by this user.`, next: `sudo chown -R "$USER" ${place}, or set dataDir (OLLAMESH_DATA_DIR) to another folder` };
        }
      },
    },
    {
      name: 'disk',
      run: async () => {
        const { bavail, bsize } = await statfs(await existing(dataDir));
        return diskVerdict(bavail * bsize, dataDir);
      },
    },
  ];
}

export function diskVerdict(freeBytes: number, folder: string): Verdict {
  const free = `${gibibytes(freeBytes)} GiB are free for ${folder}`;
  const next = 'Free some space (docker system prune, ollama rm <model>), or set dataDir (OLLAMESH_DATA_DIR) to a larger disk';
  if (freeBytes < LEAST_DISK_BYTES) return { state: 'fail', detail: `Only ${free}: no model fits.`, next };
  if (freeBytes < COMFORTABLE_DISK_BYTES) return { state: 'warn', detail: `${free}: enough for small models only.`, next };
  return { state: 'ok', detail: `${free}.` };
}

/** @param read the hardware, read once for all of these */
export function hardwareChecks(read: () => Promise<Hardware>, { engine }: Pick<LoadedConfig, 'engine'>): Check[] {
  return [
    { name: 'memory', run: async () => memoryVerdict(await read()) },
    { name: 'gpu', run: async () => gpuVerdicts(await read()) },
    { name: 'docker', run: async () => dockerVerdict(await read(), engine.driver === 'docker') },
  ];
}

/** Whether Ollama itself is installed, which is started when it suits the machine best. */
export function ollamaCheck({ engine: { driver } }: Pick<LoadedConfig, 'engine'>, where: Where): Check {
  return {
    name: 'ollama',
    run: async (signal) => {
      const found = await findOllama(where, signal);
      if ('version' in found) return { state: 'ok', detail: `Ollama ${found.version} is installed (${found.program}).` };
      const next = 'Install or update Ollama: https://ollama.com/download';
      if (driver === 'native') return { state: 'fail', detail: `${found.notMe} engine.driver is "native".`, next: `${next}; or choose another engine.driver` };
      return found.installed ? { state: 'warn', detail: found.notMe, next } : { state: 'note', detail: `${found.notMe} It is not needed.` };
    },
  };
}

function memoryVerdict({ memory, cpu, os }: Hardware): Verdict {
  const detail = `${gibibytes(memory.availableBytes)} of ${gibibytes(memory.totalBytes)} GiB are free${os.container ? ' in this container' : ''}; ${cpu.limitCores ?? cpu.cores} cores.`;
  return memory.availableBytes < LEAST_MEMORY_BYTES ? { state: 'warn', detail, next: 'Close other programs, or give the container more memory' } : { state: 'ok', detail };
}

function gpuVerdicts({ gpus, plan, warnings }: Hardware): Verdict[] {
  const names = gpus.map(({ name, vramTotalBytes }) => `${name}${vramTotalBytes === undefined ? '' : ` (${gibibytes(vramTotalBytes)} GiB)`}`).join(', ');
  const first = plan?.candidates[0];
  const about: Verdict = gpus.length === 0 ? { state: 'note', detail: 'No GPU was found: the CPU does the work.' } : { state: first?.way === 'cpu' && plan?.memory.gpuBytes === 0 ? 'note' : 'ok', detail: `${names}. ${first?.reason ?? ''}`.trim() };
  // Docker's own state has a check of its own.
  return [about, ...warnings.filter(({ problem }) => !/^Docker (?:is|does)/.test(problem)).map(({ problem, fix }): Verdict => (fix === undefined ? { state: 'note', detail: problem } : { state: 'warn', detail: problem, next: fix }))];
}

function dockerVerdict({ containers, warnings }: Hardware, wanted: boolean): Verdict {
  const docker = containers?.docker;
  if (!docker) return { state: 'warn', detail: 'Docker did not answer in time.', next: 'docker info' };
  if (docker.state === 'reachable') return { state: 'ok', detail: docker.reason };
  const next = warnings.find(({ problem }) => problem.startsWith('Docker '))?.fix ?? 'Install Docker: https://docs.docker.com/engine/install, or choose another engine.driver';
  if (wanted) return { state: 'fail', detail: `${docker.reason} engine.driver is "docker".`, next };
  return docker.state === 'absent' || docker.state === 'remote' ? { state: 'note', detail: `${docker.reason} It is not needed.` } : { state: 'warn', detail: docker.reason, next };
}
