/** A model-manager of one node, reduced to what a gateway sees of it: frames, beats and replays, each when a test says so. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Subscription } from '#bus';
import { type Frame, type Head, InferenceStart, MeshError, StreamBeat, StreamCancel, StreamFrames, StreamReplay } from '#contracts';

/** A frame without its number. */
export type Content = Frame extends infer Kind ? (Kind extends Frame ? Omit<Kind, 'epoch' | 'seq'> : never) : never;

export const DONE: Content = { kind: 'done', finishReason: 'stop', counters: {} };
export const token = (text: string): Content => ({ kind: 'token', text });

/** One stream: `add` makes a frame, `publish` puts frames on the bus, so that a test may lose, repeat or delay any. */
export class FakeStream {
  readonly frames: Frame[] = [];
  /** Frames of one replay answer. */
  replayFrames = 1_000;
  replays = 0;
  /** Token hashes that somebody cancelled it with; it goes on all the same. */
  readonly cancelledBy: string[] = [];
  /** While set, replays wait for it. */
  hold: Promise<void> | undefined;
  readonly #served: Subscription[];
  #epoch = 1;

  constructor(
    private readonly bus: Bus,
    readonly id: string,
  ) {
    const replay = bus.serve(StreamReplay, ({ after }) => this.#replay(after), { id });
    const cancel = bus.serve(
      StreamCancel,
      (by) => {
        this.cancelledBy.push('operator' in by ? 'operator' : by.ownerTokenHash);
        return {};
      },
      { id },
    );
    this.#served = [replay, cancel];
  }

  get head(): Head {
    return { epoch: this.#epoch, seq: this.frames.length };
  }

  get text(): string {
    return this.frames.map((frame) => (frame.kind === 'token' ? frame.text : '')).join('');
  }

  /** Makes the next frame and tells nobody. */
  add(content: Content): Frame {
    const frame: Frame = { ...content, epoch: this.#epoch, seq: this.frames.length + 1 };
    this.frames.push(frame);
    return frame;
  }

  publish(...frames: Frame[]): void {
    this.bus.publish(StreamFrames, frames, { id: this.id });
  }

  /** Makes frames and publishes them, all in order. */
  say(...contents: Content[]): void {
    for (const content of contents) this.publish(this.add(content));
  }

  beat(): void {
    this.bus.publish(StreamBeat, { heads: { [this.id]: this.head } });
  }

  /** Nobody can ask for it any more. */
  async forget(): Promise<void> {
    await Promise.all(this.#served.map((subscription) => subscription.drain()));
    await this.bus.flush();
  }

  /** Another attempt: the answer begins anew. */
  restart(): void {
    this.#epoch++;
    this.frames.length = 0;
  }

  async #replay(after: Head) {
    this.replays++;
    const from = after.epoch === this.#epoch ? after.seq : 0;
    const frames = this.frames.slice(from, from + this.replayFrames);
    const answer = { model: 'tiny:latest', frames, head: this.head, more: from + frames.length < this.frames.length };
    await this.hold;
    return answer;
  }
}

export class FakeProducer {
  readonly streams = new Map<string, FakeStream>();
  /** Thrown at whoever starts a stream. */
  refuseWith: MeshError | undefined;
  /** The models that starts named. */
  readonly asked: (string | undefined)[] = [];
  readonly epochs: number[] = [];
  /** How long a start takes, in milliseconds. */
  startMs = 0;

  constructor(private readonly bus: Bus) {
    bus.serve(InferenceStart, async ({ streamId, model, epoch }) => {
      this.asked.push(model);
      this.epochs.push(epoch);
      await sleep(this.startMs);
      if (this.refuseWith) throw this.refuseWith;
      this.stream(streamId);
      return { model: 'tiny:latest' };
    });
  }

  /** The stream of that id; made here when nobody started it. */
  stream(id: string): FakeStream {
    const stream = this.streams.get(id) ?? new FakeStream(this.bus, id);
    this.streams.set(id, stream);
    return stream;
  }
}
