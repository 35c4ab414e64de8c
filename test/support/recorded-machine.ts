/** Machines whose tools' outputs and kernel files were recorded (or, where marked, written from documentation), played to the hardware probes. */
import { readFileSync, readdirSync } from 'node:fs';
import type { HardwareReaderOptions } from '#hardware';

const FOLDER = new URL('../fixtures/hardware/', import.meta.url);

export interface RecordedOutput {
  readonly file: string;
  /** How the command begins that this is the answer to; "docker <socket>" for a Docker engine; without it: kernel files, "path:line" a line. */
  readonly answers?: string;
  readonly exitCode?: number;
  readonly stream?: 'stderr';
  readonly kind: 'recorded' | 'synthetic';
  /** Tool and version. */
  readonly tool: string;
  readonly source: string;
}

export interface Manifest {
  readonly about: string;
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly memoryGiB: number;
  readonly outputs: readonly RecordedOutput[];
}

export const machineNames = (): string[] => readdirSync(FOLDER).toSorted();
export const manifestOf = (machine: string): Manifest => JSON.parse(readFileSync(new URL(`${machine}/manifest.json`, FOLDER), 'utf8')) as Manifest;
export const filesOf = (machine: string): string[] => readdirSync(new URL(`${machine}/`, FOLDER)).filter((name) => name !== 'manifest.json').toSorted();

/** Everything that a HardwareReader asks of its machine, answered from the recording. */
export function recordedMachine(machine: string): HardwareReaderOptions {
  const { platform, arch, memoryGiB, outputs } = manifestOf(machine);
  const textOf = ({ file }: RecordedOutput): string => readFileSync(new URL(`${machine}/${file}`, FOLDER), 'utf8');
  const kernel = kernelFiles(outputs.filter(({ answers }) => answers === undefined).map(textOf).join(''));
  const memory = { totalBytes: memoryGiB * 1024 ** 3, availableBytes: memoryGiB * 0.75 * 1024 ** 3 };
  const system = { os: { platform, distribution: 'Recorded', release: '1', arch }, cpu: { brand: 'CPU', cores: 8, physicalCores: 4, loadPercent: 5 }, memory, findings: [] };
  return {
    node: machine,
    platform,
    arch,
    clock: () => new Date(0),
    run: async (file, args) => {
      const command = [file, ...args].join(' ');
      const output = outputs.find(({ answers }) => answers !== undefined && command.startsWith(answers));
      if (!output) return { kind: 'not-found' };
      const text = textOf(output);
      return { kind: 'exited', code: output.exitCode ?? 0, stdout: output.stream ? '' : text, stderr: output.stream ? text : '' };
    },
    files: {
      read: async (path) => kernel.get(path)?.trim(),
      list: async (path) => [...new Set([...kernel.keys()].filter((file) => file.startsWith(`${path}/`)).map((file) => file.slice(path.length + 1).split('/')[0] ?? ''))],
      group: async (path) => Number(/^group=(\d+)$/.exec(kernel.get(path) ?? '')?.[1] ?? Number.NaN) || (kernel.has(path) ? 0 : undefined),
    },
    system: { read: async () => system, readNow: () => system },
    askDocker: async (socket) => {
      const output = outputs.find(({ answers }) => answers === `docker ${socket}`);
      const text = output ? textOf(output) : '{"errno":"ENOENT"}';
      const { errno } = JSON.parse(text) as { errno?: string };
      if (errno) throw Object.assign(new Error(errno), { code: errno });
      return { status: 200, body: text };
    },
  };
}

/** "path:line" of every file, as `grep -H ''` prints them. */
function kernelFiles(text: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, path, value = ''] = /^(\/[^:]*(?::[^:/]*)*?):(?=[^/]|$)(.*)$/.exec(line) ?? [];
    if (path) files.set(path, files.has(path) ? `${files.get(path)}\n${value}` : value);
  }
  return files;
}
