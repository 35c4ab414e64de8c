/** CPU, memory and operating system; where their reader fails, what Node itself knows. */
import nodeOs from 'node:os';
import type { Hardware } from '#contracts';
import { type SystemInformation, systemInformation } from './system-information.js';

/** The part of node:os that is used where the reader fails. */
export type OperatingSystem = Pick<typeof nodeOs, 'arch' | 'cpus' | 'freemem' | 'platform' | 'release' | 'totalmem'>;

export interface SystemFound extends Pick<Hardware, 'os' | 'cpu' | 'memory'> {
  readonly findings: readonly string[];
}

export interface SystemProbe {
  /** Reads anew; what can't change while the process runs is read once. Never throws. */
  read(): Promise<SystemFound>;
  /** What Node knows without waiting. */
  readNow(): SystemFound;
}

/** What the control group of a container leaves this process, in bytes; the part of node:process that is used. */
export type ControlGroup = Pick<typeof process, 'availableMemory' | 'constrainedMemory'>;

export function systemProbe({ information = systemInformation(), os = nodeOs, group = process }: { information?: SystemInformation; os?: OperatingSystem; group?: ControlGroup } = {}): SystemProbe {
  const cpuOnce = untilItWorks(() => information.cpu());
  const osOnce = untilItWorks(() => information.osInfo());
  const readNow = (): SystemFound => {
    const known = knownToNode(os);
    return { ...known, memory: withinLimit(known.memory, group) };
  };
  return {
    readNow,
    async read() {
      const [cpu, distribution, memory, load] = await Promise.allSettled([cpuOnce(), osOnce(), information.mem(), information.currentLoad()]);
      const known = readNow();
      const brand = cpu.status === 'fulfilled' ? [cpu.value.manufacturer, cpu.value.brand].filter(Boolean).join(' ') : '';
      return {
        os: {
          ...known.os,
          ...(distribution.status === 'fulfilled' && {
            distribution: distribution.value.distro || known.os.distribution,
            release: distribution.value.release || known.os.release,
          }),
        },
        cpu: {
          brand: brand || known.cpu.brand,
          cores: atLeastOne(valueOf(cpu)?.cores, known.cpu.cores),
          physicalCores: atLeastOne(valueOf(cpu)?.physicalCores, known.cpu.physicalCores),
          loadPercent: percent(valueOf(load)?.currentLoad),
        },
        memory:
          memory.status === 'fulfilled' && memory.value.total > 0
            ? withinLimit({ totalBytes: memory.value.total, availableBytes: Math.max(0, memory.value.available) }, group)
            : known.memory,
        findings: [cpu, distribution, memory, load].flatMap((answer) =>
          answer.status === 'rejected' ? [`Part of the system could not be read: ${messageOf(answer.reason)}`] : [],
        ),
      };
    },
  };
}

function knownToNode(os: OperatingSystem): SystemFound {
  const cpus = os.cpus();
  const cores = Math.max(1, cpus.length);
  return {
    os: { platform: os.platform(), distribution: 'unknown', release: os.release(), arch: os.arch() },
    cpu: { brand: cpus[0]?.model.trim() || 'unknown', cores, physicalCores: cores, loadPercent: 0 },
    memory: { totalBytes: os.totalmem(), availableBytes: os.freemem() },
    findings: [],
  };
}

/** In a container its limit counts, where it is below what the machine has (no limit is told as 0, or as a huge number). */
function withinLimit(memory: Hardware['memory'], group: ControlGroup): Hardware['memory'] {
  const limit = group.constrainedMemory();
  if (!(limit > 0 && limit < memory.totalBytes)) return memory;
  return { totalBytes: limit, availableBytes: Math.min(memory.availableBytes, limit, Math.max(0, group.availableMemory())) };
}

/** Remembers the first answer; a failure is not remembered. */
function untilItWorks<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return async () => {
    answer ??= ask();
    try {
      return await answer;
    } catch (error) {
      answer = undefined;
      throw error;
    }
  };
}

function valueOf<T>(answer: PromiseSettledResult<T>): T | undefined {
  return answer.status === 'fulfilled' ? answer.value : undefined;
}

/** Some virtual machines report 0 cores, or none. */
function atLeastOne(value: number | undefined, otherwise: number): number {
  return Number.isInteger(value) && value !== undefined && value > 0 ? value : otherwise;
}

function percent(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) ? Math.min(100, Math.max(0, value)) : 0;
}

const messageOf = (reason: unknown): string => (reason instanceof Error ? reason.message : String(reason));
