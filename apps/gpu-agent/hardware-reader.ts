/** What hardware is here: the probes put together. Answers within a second whatever the tools do, and never fails for want of one. */
import type { Hardware } from '#contracts';
import { Latest } from './latest.js';
import { runCommand } from './probes/command-runner.js';
import type { CommandRunner } from './probes/command-runner.js';
import { drmProbe } from './probes/drm.js';
import { type FileReader, fileReader } from './probes/file-reader.js';
import { nvidiaProbe } from './probes/nvidia-smi.js';
import type { GpusFound } from './probes/nvidia-smi.js';
import { systemProbe } from './probes/system.js';
import type { SystemFound, SystemProbe } from './probes/system.js';

export interface HardwareReaderOptions {
  /** This machine's name on the bus. */
  readonly node: string;
  readonly run?: CommandRunner;
  readonly files?: FileReader;
  readonly system?: SystemProbe;
  readonly platform?: NodeJS.Platform;
  readonly clock?: () => Date;
  /** How long a read may take, in milliseconds. */
  readonly patienceMs?: number;
  /** How long nvidia-smi may take, in milliseconds; what it says after `patienceMs` is for the next read. */
  readonly toolTimeoutMs?: number;
}

/** A tool that hung is left alone for this long, in milliseconds: each try may leave a process that can't be killed. */
const REST_AFTER_HANG_MS = 60_000;
/** A tool that is not there is looked for again after this long, in milliseconds: drivers are rarely installed while we run. */
const REST_WHEN_MISSING_MS = 10 * 60_000;

export class HardwareReader {
  readonly #node: string;
  readonly #clock: () => Date;
  readonly #patienceMs: number;
  readonly #systemProbe: SystemProbe;
  readonly #gpus: Latest<GpusFound>;
  readonly #drm: Latest<GpusFound>;
  readonly #system: Latest<SystemFound>;

  constructor({
    node,
    run = runCommand,
    files = fileReader,
    system = systemProbe(),
    platform = process.platform,
    clock = () => new Date(),
    patienceMs = 900,
    toolTimeoutMs = 10_000,
  }: HardwareReaderOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#systemProbe = system;
    this.#gpus = new Latest({
      ask: nvidiaProbe({ run, platform, timeoutMs: toolTimeoutMs }),
      restMs: ({ hung, missing }) => (hung ? REST_AFTER_HANG_MS : missing ? REST_WHEN_MISSING_MS : 0),
    });
    this.#drm = new Latest({ ask: drmProbe({ run, files, platform, timeoutMs: toolTimeoutMs }) });
    this.#system = new Latest({ ask: () => system.read() });
  }

  /** The hardware as it is now, or as it last was known where a tool is slow (which a finding says). */
  async read(): Promise<Hardware> {
    const [gpus, drm, system] = await Promise.all([this.#gpus.get(this.#patienceMs), this.#drm.get(this.#patienceMs), this.#system.get(this.#patienceMs)]);
    const { findings: systemFindings, ...machine } = system.value ?? this.#systemProbe.readNow();
    return {
      node: this.#node,
      sampledAt: this.#clock().toISOString(),
      ...machine,
      gpus: [...(gpus.value?.gpus ?? []), ...(drm.value?.gpus ?? [])],
      findings: [
        ...(gpus.value?.findings ?? []),
        ...(gpus.late ? [gpus.value ? 'nvidia-smi is slow to answer: GPUs are as it last said.' : 'nvidia-smi has not answered yet.'] : []),
        ...(drm.value?.findings ?? []),
        ...systemFindings,
      ],
    };
  }
}
