/** What hardware is here: the probes put together. Answers within a second whatever the tools do, and never fails for want of one. */
import nodeOs from 'node:os';
import type { ContainerRuntimes, Gpu, Hardware, HardwareWarning } from '#contracts';
import { advise } from './advice.js';
import { Latest } from './latest.js';
import { mergeGpus } from './merge-gpus.js';
import { planFor } from './plan/plan.js';
import { appleProbe } from './probes/apple.js';
import { runCommand } from './probes/command-runner.js';
import type { CommandRunner } from './probes/command-runner.js';
import { readContainerDevices } from './probes/container-devices.js';
import { type SocketClient, findDocker } from './probes/docker.js';
import { drmProbe } from './probes/drm.js';
import { type FileReader, fileReader } from './probes/file-reader.js';
import type { FoundGpu, GpusFound } from './probes/found.js';
import { MIB } from './probes/found.js';
import { findJetson } from './probes/jetson.js';
import { nvidiaProbe } from './probes/nvidia-smi.js';
import { type ProcessorFound, readProcessor } from './probes/processor.js';
import { systemProbe } from './probes/system.js';
import type { SystemFound, SystemProbe } from './probes/system.js';
import { windowsProbe } from './probes/windows.js';

export interface HardwareReaderOptions {
  /** This machine's name on the bus. */
  readonly node: string;
  /** Value of DOCKER_HOST. */
  readonly dockerHost?: string | undefined;
  readonly run?: CommandRunner;
  readonly files?: FileReader;
  readonly system?: SystemProbe;
  readonly askDocker?: SocketClient;
  readonly platform?: NodeJS.Platform;
  readonly arch?: string;
  readonly clock?: () => Date;
  /** How long a read may take, in milliseconds. */
  readonly patienceMs?: number;
  /** How long a tool may take, in milliseconds; what it says after `patienceMs` is for the next read. */
  readonly toolTimeoutMs?: number;
  /** How long nvidia-smi's answer stands, in milliseconds: a run of it costs far more than reading files. */
  readonly toolRestMs?: number;
}

/** A tool that hung is left alone for this long, in milliseconds: each try may leave a process that can't be killed. */
const REST_AFTER_HANG_MS = 60_000;
/** A tool that is not there is looked for again after this long, in milliseconds: drivers are rarely installed while we run. */
const REST_WHEN_MISSING_MS = 10 * 60_000;
/** Containers' means and limits change when someone changes them. */
const SURROUNDINGS_REST_MS = 60_000;
/** How long Docker may take to describe itself, in milliseconds. */
const DOCKER_TIMEOUT_MS = 3_000;
/** A card with less memory than this is not told right: in a container the size of a PCI window may stand for it. */
const SMALLEST_CARD_BYTES = 512 * MIB;
/** What of the machine's memory an Intel GPU in the processor gets at most. */
const INTEL_SHARE = 0.5;

export class HardwareReader {
  readonly #node: string;
  readonly #clock: () => Date;
  readonly #patienceMs: number;
  readonly #systemProbe: SystemProbe;
  readonly #nvidia: Latest<GpusFound>;
  readonly #others: Latest<GpusFound[]>;
  readonly #system: Latest<SystemFound>;
  readonly #processor: Latest<ProcessorFound>;
  readonly #containers: Latest<ContainerRuntimes>;

  constructor({
    node,
    dockerHost,
    run = runCommand,
    files = fileReader,
    system = systemProbe(),
    askDocker,
    platform = process.platform,
    arch = process.arch,
    clock = () => new Date(),
    patienceMs = 900,
    toolTimeoutMs = 10_000,
    toolRestMs = 4_000,
  }: HardwareReaderOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#systemProbe = system;
    const tools = { run, platform, timeoutMs: toolTimeoutMs };
    this.#nvidia = new Latest({
      ask: nvidiaProbe(tools),
      restMs: ({ hung, missing, gpus }) => (hung ? REST_AFTER_HANG_MS : missing ? REST_WHEN_MISSING_MS : gpus.length > 0 ? toolRestMs : 0),
    });
    const drm = drmProbe({ ...tools, files });
    const apple = appleProbe({ ...tools, arch, totalBytes: system.readNow().memory.totalBytes });
    const windows = windowsProbe({ platform });
    this.#others = new Latest({ ask: () => Promise.all([findJetson(files), drm(), apple(), windows()]) });
    this.#system = new Latest({ ask: () => system.read() });
    this.#processor = new Latest({ ask: () => readProcessor(files, platform, arch), restMs: () => SURROUNDINGS_REST_MS });
    this.#containers = new Latest({
      ask: async () => {
        const [docker, devices] = await Promise.all([
          findDocker({ ...(askDocker && { ask: askDocker }), dockerHost, platform, home: nodeOs.homedir(), uid: process.getuid?.(), timeoutMs: DOCKER_TIMEOUT_MS }),
          readContainerDevices(files, platform),
        ]);
        return { docker, ...devices };
      },
      restMs: () => SURROUNDINGS_REST_MS,
    });
  }

  /** The hardware as it is now, or as it last was known where a tool is slow (which a finding says). */
  async read(): Promise<Hardware> {
    const [nvidia, others, system, processor, containers] = await Promise.all([
      this.#nvidia.get(this.#patienceMs),
      this.#others.get(this.#patienceMs),
      this.#system.get(this.#patienceMs),
      this.#processor.get(this.#patienceMs),
      this.#containers.get(this.#patienceMs),
    ]);
    const { findings: systemFindings, ...machine } = system.value ?? this.#systemProbe.readNow();
    const found = [...(nvidia.value ? [nvidia.value] : []), ...(others.value ?? [])];
    const { gpus, warnings } = settle(found.map((source) => source.gpus), machine.memory);
    const os = { ...machine.os, ...processor.value?.os };
    const cpu = { ...machine.cpu, ...processor.value?.cpu };
    const around = containers.value && { os, cpu, memory: machine.memory, gpus, containers: containers.value };
    return {
      node: this.#node,
      sampledAt: this.#clock().toISOString(),
      os,
      cpu,
      memory: machine.memory,
      gpus,
      findings: [
        ...(nvidia.value?.findings ?? []),
        ...(nvidia.late ? [nvidia.value ? 'nvidia-smi is slow to answer: GPUs are as it last said.' : 'nvidia-smi has not answered yet.'] : []),
        ...(others.value?.flatMap(({ findings }) => findings) ?? []),
        ...(containers.value ? [containers.value.docker.reason] : ['Docker has not answered yet.']),
        ...systemFindings,
      ],
      warnings: [...found.flatMap((source) => source.warnings), ...warnings, ...(around ? advise(around) : [])],
      ...(around && { containers: around.containers, plan: planFor(around) }),
    };
  }
}

/** The GPUs of all probes, each once, with memory that can be believed. */
function settle(sources: readonly (readonly FoundGpu[])[], memory: Hardware['memory']): { gpus: Gpu[]; warnings: HardwareWarning[] } {
  const warnings: HardwareWarning[] = [];
  const gpus = mergeGpus(joinJetson(sources)).map((found): Gpu => {
    const { pciDeviceId: _id, ...gpu } = found;
    if (gpu.unifiedMemory && gpu.vramTotalBytes === undefined) {
      const share = gpu.vendor === 'intel' ? INTEL_SHARE : 1;
      return { ...gpu, vramTotalBytes: Math.floor(memory.totalBytes * share), vramUsedBytes: Math.floor(Math.min(1, (memory.totalBytes - memory.availableBytes) / memory.totalBytes) * memory.totalBytes * share) };
    }
    if (gpu.unifiedMemory || gpu.vramTotalBytes === undefined || gpu.vramTotalBytes >= SMALLEST_CARD_BYTES) return gpu;
    warnings.push({ problem: `${gpu.name} tells only ${Math.round(gpu.vramTotalBytes / MIB)} MiB of memory, which is not believed: it does not count.` });
    const { vramTotalBytes: _total, vramUsedBytes: _used, ...rest } = gpu;
    return rest;
  });
  return { gpus, warnings };
}

/** A Jetson has one GPU; what its nvidia-smi calls it, if it has one, is that GPU. */
function joinJetson(sources: readonly (readonly FoundGpu[])[]): readonly (readonly FoundGpu[])[] {
  const jetson = sources.flat().find(({ driverVersion }) => driverVersion?.startsWith('L4T'));
  if (!jetson) return sources;
  return [[jetson], ...sources.map((gpus) => gpus.filter((gpu) => gpu.vendor !== 'nvidia'))];
}
