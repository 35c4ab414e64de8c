/** What the kernel's files say of the processor beyond its name: instruction sets, a container's limit, and whether this is WSL or a container. */
import type { Hardware } from '#contracts';
import type { FileReader } from './file-reader.js';
import { wholeNumber } from './found.js';

export interface ProcessorFound {
  readonly cpu: Pick<Hardware['cpu'], 'features' | 'limitCores'>;
  readonly os: Pick<Hardware['os'], 'wsl' | 'container'>;
}

const CGROUPS = '/sys/fs/cgroup';

export async function readProcessor(files: FileReader, platform: NodeJS.Platform, arch: string): Promise<ProcessorFound> {
  if (platform !== 'linux') return { cpu: { features: arch === 'arm64' ? ['neon'] : [] }, os: {} };
  const [cpuinfo, limitCores, release, docker, podman] = await Promise.all([
    files.read('/proc/cpuinfo'),
    readCpuLimit(files),
    files.read('/proc/sys/kernel/osrelease'),
    files.group('/.dockerenv'),
    files.group('/run/.containerenv'),
  ]);
  return {
    cpu: { features: featuresOf(cpuinfo ?? '', arch), ...(limitCores !== undefined && { limitCores }) },
    os: {
      ...(/microsoft/i.test(release ?? '') && { wsl: true }),
      ...((docker ?? podman) !== undefined && { container: true }),
    },
  };
}

/** The instruction sets that llama.cpp has kernels for. ARM's 64-bit processors all have NEON. */
export function featuresOf(cpuinfo: string, arch: string): string[] {
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/));
  return [
    ...(flags.has('avx2') ? ['avx2'] : []),
    ...(flags.has('avx512f') ? ['avx512'] : []),
    ...(flags.has('asimd') || arch === 'arm64' ? ['neon'] : []),
  ];
}

/** The lowest of the limits that this process's control groups and those above them set (version 2, else 1); undefined for none. */
export async function readCpuLimit(files: FileReader): Promise<number | undefined> {
  const groups = ((await files.read('/proc/self/cgroup')) ?? '').split('\n').map((line) => line.split(':'));
  const pathOf = (isMine: (controllers: string, hierarchy: string) => boolean): string => groups.find(([hierarchy = '', controllers = '']) => isMine(controllers, hierarchy))?.[2] ?? '/';
  const unified = chain(pathOf((controllers, hierarchy) => hierarchy === '0' && controllers === '')).map(async (path) => quotaOf(...((await files.read(`${CGROUPS}${path}/cpu.max`))?.split(' ') ?? [])));
  const legacy = chain(pathOf((controllers) => controllers.split(',').includes('cpu'))).flatMap((path) =>
    ['cpu', 'cpu,cpuacct'].map(async (mount) => {
      const folder = `${CGROUPS}/${mount}${path}`;
      return quotaOf(await files.read(`${folder}/cpu.cfs_quota_us`), await files.read(`${folder}/cpu.cfs_period_us`));
    }),
  );
  const limits = (await Promise.all([...unified, ...legacy])).filter((limit) => limit !== undefined);
  return limits.length > 0 ? Math.min(...limits) : undefined;
}

/** A group's path and those above it, up to the root, which a container sees its own group as. */
function chain(path: string): string[] {
  const parts = path.split('/').filter(Boolean);
  return parts.map((_, count) => `/${parts.slice(0, parts.length - count).join('/')}`).concat('');
}

/** Processors that a quota of microseconds a period makes; "max" and -1 stand for none. */
function quotaOf(quota?: string, period?: string): number | undefined {
  const [microseconds, of] = [wholeNumber(quota), wholeNumber(period)];
  return microseconds && of ? microseconds / of : undefined;
}
