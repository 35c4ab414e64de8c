/** Where CPU, memory and OS are read: on Linux from the kernel's files, which takes a millisecond, elsewhere through systeminformation, which runs programs. */
import nodeOs from 'node:os';
import { type FileReader, fileReader } from './file-reader.js';
import { wholeNumber } from './found.js';

/** The part of systeminformation that is used. */
export interface SystemInformation {
  cpu(): Promise<{ manufacturer: string; brand: string; cores: number; physicalCores: number }>;
  mem(): Promise<{ total: number; available: number }>;
  osInfo(): Promise<{ distro: string; release: string; arch: string }>;
  currentLoad(): Promise<{ currentLoad: number }>;
}

/** What both readers of this machine take of node:os. */
export type Processors = Pick<typeof nodeOs, 'arch' | 'cpus'>;

export const systemInformation = (platform: NodeJS.Platform = process.platform): SystemInformation => (platform === 'linux' ? linuxInformation(fileReader) : lazyInformation());

/** systeminformation, loaded when it is first asked. */
function lazyInformation(): SystemInformation {
  const library = async () => (await import('systeminformation')).default;
  return {
    cpu: async () => (await library()).cpu(),
    mem: async () => (await library()).mem(),
    osInfo: async () => (await library()).osInfo(),
    currentLoad: async () => (await library()).currentLoad(),
  };
}

export function linuxInformation(files: FileReader, os: Processors = nodeOs): SystemInformation {
  let counted = { busy: 0, all: 0 };
  return {
    cpu: async () => {
      const processors = os.cpus();
      const model = processors[0]?.model ?? '';
      // ARM's kernels tell no model; a board's name is better than none.
      const brand = isNamed(model) ? tidy(model) : ((await files.read('/proc/device-tree/model'))?.replaceAll('\0', '') ?? '');
      return { manufacturer: '', brand, cores: processors.length, physicalCores: physicalCores((await files.read('/proc/cpuinfo')) ?? '', processors.length) };
    },
    mem: async () => {
      const text = (await files.read('/proc/meminfo')) ?? '';
      const kibibytes = (name: string) => wholeNumber(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
      const [total, available] = [kibibytes('MemTotal'), kibibytes('MemAvailable')];
      if (total === undefined || available === undefined) throw new Error('/proc/meminfo tells no memory.');
      return { total: total * 1024, available: available * 1024 };
    },
    osInfo: async () => {
      const text = (await files.read('/etc/os-release')) ?? (await files.read('/usr/lib/os-release')) ?? '';
      const value = (name: string) => new RegExp(`^${name}=["']?(.*?)["']?$`, 'm').exec(text)?.[1] ?? '';
      return { distro: value('NAME'), release: value('VERSION_ID'), arch: os.arch() };
    },
    currentLoad: async () => {
      const times = os.cpus().map((processor) => processor.times);
      const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
      const now = { busy: all - times.reduce((sum, { idle }) => sum + idle, 0), all };
      const [busy, passed] = [now.busy - counted.busy, now.all - counted.all];
      counted = now;
      return { currentLoad: passed > 0 ? (100 * busy) / passed : 0 };
    },
  };
}

const isNamed = (model: string): boolean => model.trim() !== '' && model !== 'unknown';

/** "Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz" as people write it. */
const tidy = (model: string): string => model.replace(/\((?:R|TM|C)\)/gi, '').replace(/\s+CPU(?=\s|$)/, '').replace(/\s*@.*$/, '').replace(/\s+/g, ' ').trim();

/** Cores told apart by socket and core number; without these each processor counts. */
function physicalCores(cpuinfo: string, processors: number): number {
  const cores = new Set<string>();
  for (const block of cpuinfo.split(/\n\s*\n/)) {
    const id = (name: string) => new RegExp(`^${name}\\s*:\\s*(\\d+)$`, 'm').exec(block)?.[1];
    const [socket, core] = [id('physical id'), id('core id')];
    if (socket !== undefined && core !== undefined) cores.add(`${socket}:${core}`);
  }
  return cores.size || processors;
}
