/** What the relay has done since the start, as plain counts that cost the hot path an addition; metrics.controller.ts tells them. */

export class RelayStats {
  /** Frames taken from the bus, replays included. */
  frames = 0;
  /** Changes written to everyone who watches, and the writes that took: frames ÷ flushes is what coalescing saves. */
  flushes = 0;
  deliveries = 0;
  /** Viewers brought up to date: from their position, from the start, or by a snapshot because their position was unknown. */
  resumed = 0;
  started = 0;
  unrecovered = 0;
  /** Viewers that fell behind and were left until they drained, and those that were cut because they did not. */
  leftBehind = 0;
  stalled = 0;
  /** Times a producer was asked for frames that the bus lost or that came before this gateway. */
  replays = 0;
}
