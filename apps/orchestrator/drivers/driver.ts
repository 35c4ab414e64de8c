/** The port that every way to an engine implements; rank.ts chooses among the candidates, engine.ts runs the chosen one. */
import type { EngineDriver } from '#contracts';

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
  /**
   * Makes the engine exist and listen. Resolves as soon as it has a URL; whether it answers there is for the health check.
   * Aborting `signal` cleans up whatever was half made, then rejects.
   * @throws MeshError `engine_unavailable` that says what to do.
   */
  start(report: StartReport, signal: AbortSignal): Promise<RunningEngine>;
}

/** How a start tells where it is; each call is a transition of the engine's state table. */
export interface StartReport {
  acquiring(reason: string, percent?: number): void;
  creating(reason: string): void;
  starting(reason: string): void;
}

export interface RunningEngine {
  /** Base URL of the Ollama API, without a trailing slash. */
  readonly url: string;
  /** Settles, never rejects, when the engine ends by itself or is stopped; pending for ever for an attached one. */
  readonly exited: Promise<EngineExit>;
  /** The newest lines of its log, at most 50. */
  lastLogLines(): string[];
  /** Asks politely, then for sure after `graceMs`; leaves an attached engine alone. Idempotent. */
  stop(graceMs: number): Promise<'stopped' | 'killed' | 'left running'>;
}

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
  /** What it was at when it ended by itself, such as `while it loaded x:latest`; only an engine that tells has this. */
  readonly during?: string;
}

export function isCandidate(answer: Candidate | NotMe): answer is Candidate {
  return 'start' in answer;
}
