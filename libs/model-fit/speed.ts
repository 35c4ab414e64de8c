/** How fast a model may be expected to generate, by the memory that it is read from. Pure; checked against speeds that people measured. */

/** Memory that holds a part of the model. */
export interface ModelMemoryPart {
  /** As its maker says, in bytes a second. */
  readonly bandwidth: number;
  /** How much there is of it, in bytes: layers are spread accordingly. */
  readonly bytes: number;
}

/** Generating a token reads all active weights once; engines reach about this share of a memory's bandwidth. */
const BANDWIDTH_SHARE = 0.67;
/** What a token takes beside reading, in seconds: without it a tiny model would have no bound. */
const REST_SECONDS = 0.001;

/** Tokens a second of one generation with little context. The parts work one after the other. */
export function expectedTokensPerSecond(bytesPerToken: number, parts: readonly ModelMemoryPart[]): number {
  const whole = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const reading = parts.reduce((sum, { bandwidth, bytes }) => sum + (bytesPerToken * bytes) / whole / (bandwidth * BANDWIDTH_SHARE), 0);
  return 1 / (reading + REST_SECONDS);
}
