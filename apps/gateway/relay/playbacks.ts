/** Answers that are played back have no producer: this gateway tells other gateways their frames, for as long as a producer would. */
import type { Bus, Subscription } from '#bus';
import { type Frame, type StoredLog, StreamReplay } from '#contracts';
import { framesOf } from '#streams';

/** In milliseconds. */
const TOLD_FOR_MS = 60_000;
/** Part of what the bus takes that one reply may have. */
const REPLAY_SHARE = 0.5;

interface Playback {
  readonly told: Subscription;
  readonly end: NodeJS.Timeout;
}

export class Playbacks {
  readonly #playbacks = new Map<string, Playback>();

  constructor(private readonly bus: Bus) {}

  add(id: string, { model, log }: { readonly model: string; readonly log: StoredLog }): void {
    const told = this.bus.serve(
      StreamReplay,
      ({ after }) => {
        const frames: Frame[] = [];
        let room = this.bus.maxPayloadBytes * REPLAY_SHARE;
        for (const frame of framesOf(log, after.epoch === log.epoch ? after.seq : 0)) {
          room -= Buffer.byteLength(JSON.stringify(frame));
          if (room < 0 && frames.length > 0) break;
          frames.push(frame);
        }
        const seq = log.steps.length;
        return { model, frames, head: { epoch: log.epoch, seq }, more: (frames.at(-1)?.seq ?? seq) < seq };
      },
      { id },
    );
    this.#playbacks.set(id, { told, end: setTimeout(() => this.forget(id), TOLD_FOR_MS).unref() });
  }

  forget(id: string): void {
    const playback = this.#playbacks.get(id);
    if (!playback) return;
    this.#playbacks.delete(id);
    clearTimeout(playback.end);
    playback.told.unsubscribe();
  }
}
