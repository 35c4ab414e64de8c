/** The port that every way to an engine implements; rank.ts chooses among the candidates, engine.ts runs the chosen one. */
import type { Acquired, EngineDriver, EngineGpu, EngineUsage } from '#contracts';

/** A way to get an engine: answers "not me, because …" or a candidate. Never throws for what it merely does not find. */
export interface Driver {
  readonly driver: EngineDriver;
  /** Looks, and changes nothing. Must settle within 3 s or when `signal` aborts. */
  probe(signal: AbortSignal): Promise<Candidate | NotMe>;
}

export interface NotMe {
  readonly driver: EngineDriver;
  readonly notMe: string;
}

export interface Candidate {
  readonly driver: EngineDriver;
  /** What was found, a sentence for a person. */
  readonly found: string;
  /** True for an engine that runs already and is not ours to stop. */
  readonly attached: boolean;
  /** True when the engine is expected to use a GPU. */
  readonly gpu: boolean;
  /** Bytes to fetch before the first start; 0 when everything is here, undefined when not known. */
  readonly downloadBytes: number | undefined;
  /** How long its engine may take to its first answer, where that is not what the configuration says, in milliseconds. */
  readonly startTimeoutMs?: number;
  /**
   * Fetches what a start needs beforehand, while another engine may answer; only drivers that may have to fetch something have it.
   * @throws MeshError `engine_unavailable`; nothing half fetched is kept in the way.
   */
  prepare?(progress: (reason: string, progress?: Progress) => void, signal: AbortSignal): Promise<void>;
  /**
   * Makes the engine exist and listen. Resolves as soon as it has a URL; whether it answers there is for the health check.
   * Aborting `signal` cleans up whatever was half made, then rejects.
   * @throws MeshError `engine_unavailable` that says what to do.
   */
  start(report: StartReport, signal: AbortSignal): Promise<RunningEngine>;
}

/** How a start tells where it is; each call is a transition of the engine's state table. */
export interface StartReport {
  acquiring(reason: string, progress?: Progress): void;
  creating(reason: string): void;
  starting(reason: string): void;
}

export interface Progress {
  readonly percent?: number;
  readonly acquired?: Acquired;
}

export interface RunningEngine {
  /** Base URL of the Ollama API, without a trailing slash. */
  readonly url: string;
  /** Settles, never rejects, when the engine ends by itself or is stopped; pending for ever for an attached one. */
  readonly exited: Promise<EngineExit>;
  /** The container image it runs. */
  readonly image?: string;
  /** What the GPU does for it, where its driver has looked. */
  readonly gpu?: EngineGpu;
  /** Settles with the log line that says so when the engine loses its GPU. */
  readonly gpuLost?: Promise<string>;
  /** The newest lines of its log, at most 50. */
  lastLogLines(): string[];
  /** Asks politely, then for sure after `graceMs`; leaves an attached engine alone. Idempotent. */
  stop(graceMs: number): Promise<'stopped' | 'killed' | 'left running'>;
  /** Stops watching and lets it run on, for the next start to adopt. */
  release?(): Promise<'left running'>;
  /** As stop, and what this start alone had made for it (an empty volume) goes too: for one that never answered. */
  discard?(): Promise<void>;
  /** Calls back when somebody pauses it, and when it goes on. */
  onPause?(listener: (paused: boolean) => void): void;
  /** Makes a paused engine go on; false where it was not paused. */
  resume?(): Promise<boolean>;
  usage?(signal: AbortSignal): Promise<EngineUsage>;
}

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
  /** What it was at when it ended by itself, such as `while it loaded x:latest`; only an engine that tells has this. */
  readonly during?: string;
  /** Why nothing is known of its end, a clause. */
  readonly lost?: string;
}

export function isCandidate(answer: Candidate | NotMe): answer is Candidate {
  return 'start' in answer;
}
