/** A driver that starts fake Ollamas, and lets a test kill, hang or refuse them. */
import { type EngineDriver, MeshError } from '#contracts';
import type { Candidate, Driver, EngineExit, RunningEngine, StartReport } from '../../apps/orchestrator/drivers/driver.js';
import { FakeOllama } from './fake-ollama.js';

export interface FakeEngine {
  readonly ollama: FakeOllama;
  readonly stops: number[];
  /** Dies by itself. */
  die(): Promise<void>;
}

export class FakeDriver implements Driver {
  /** Every engine that was started, oldest first. */
  readonly engines: FakeEngine[] = [];
  starts = 0;
  aborted = 0;
  /** What a start throws. */
  refuseWith: string | undefined;
  /** True: a start waits until it is aborted. */
  stuck = false;
  /** True: engines die as soon as they are up. */
  dying = false;
  /** Thrown by the next look. */
  blind = false;
  /** What a preparation does; how many there were. */
  prepare: Candidate['prepare'] | undefined;
  prepared = 0;
  /** What more the engine of a start is. */
  onStart: () => Partial<RunningEngine> = () => ({});

  constructor(
    readonly driver: EngineDriver,
    public facts: Partial<Pick<Candidate, 'attached' | 'gpu' | 'downloadBytes'>> = {},
  ) {}

  async probe(): Promise<Candidate> {
    if (this.blind) throw new Error('no eyes');
    const start = (report: StartReport, signal: AbortSignal) => this.#start(report, signal);
    const prepare: Candidate['prepare'] = async (progress, signal) => {
      this.prepared++;
      await this.prepare?.(progress, signal);
    };
    return { driver: this.driver, found: `${this.driver} is here.`, attached: false, gpu: false, downloadBytes: 0, ...this.facts, prepare, start };
  }

  async #start(report: StartReport, signal: AbortSignal): Promise<RunningEngine> {
    this.starts++;
    report.starting(`Starting ${this.driver}.`);
    if (this.refuseWith !== undefined) throw new MeshError('engine_unavailable', this.refuseWith);
    if (this.stuck) {
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })).finally(() => this.aborted++);
    }
    const ollama = await FakeOllama.start();
    const { url } = ollama;
    let tell: (exit: EngineExit) => void = () => undefined;
    const exited = new Promise<EngineExit>((resolve) => (tell = resolve));
    let closed: Promise<void> | undefined;
    const end = async (exit: EngineExit) => {
      closed ??= ollama.close();
      await closed;
      tell(exit);
    };
    const stops: number[] = [];
    const die = () => end({ code: 1, signal: null, outOfMemory: false });
    this.engines.push({ ollama, stops, die });
    if (this.dying) setTimeout(() => void die(), 20);
    return {
      url,
      exited: this.facts.attached ? new Promise(() => undefined) : exited,
      lastLogLines: () => ['its last words'],
      stop: async (graceMs) => {
        stops.push(graceMs);
        if (this.facts.attached) return 'left running';
        await end({ code: 0, signal: 'SIGTERM', outOfMemory: false });
        return 'stopped';
      },
      ...this.onStart(),
    };
  }
}
