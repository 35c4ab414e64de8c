/** How long the orchestrator waits for whom, in milliseconds; tests have less patience. */
export interface Timings {
  /** A driver's look around. */
  readonly lookMs: number;
  /** What an engine gets to end by itself. */
  readonly stopGraceMs: number;
  /** Pause after every candidate failed, before all are tried again. */
  readonly retryAllMs: number;
  /** Pause before required models that could not be had are asked for again. */
  readonly retryModelsMs: number;
  /** How long model-manager may be away before a model counts as failed. */
  readonly modelPatienceMs: number;
  /** How often the engine's health is looked at, and how long it has to answer. */
  readonly probeEveryMs: number;
  readonly probeTimeoutMs: number;
}

export const USUAL_TIMINGS: Timings = {
  lookMs: 3_000,
  stopGraceMs: 3_000,
  retryAllMs: 10_000,
  retryModelsMs: 30_000,
  modelPatienceMs: 15_000,
  probeEveryMs: 5_000,
  probeTimeoutMs: 5_000,
};
