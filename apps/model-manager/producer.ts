/**
 * One stream at its source: numbers the frames, publishes each once, keeps them for replay and ends with exactly one
 * terminal frame whatever happens. producers.ts owns beats and lifetimes.
 */
import { timingSafeEqual } from 'node:crypto';
import { type Bus, type Subscription } from '#bus';
import { type Frame, type Head, MeshError, type Route, StreamCancel, StreamFrames, StreamReplay, type StreamStatus } from '#contracts';
import type { InferenceLine } from '#ollama';
import { type FrameContent, framesOfLine } from './frames-of-line.js';

/**
 * Frames closer together than this travel in one message, in milliseconds; a frame that comes later goes at once. When a
 * message has carried so many frames, the answer is faster than any eye: then twenty-five messages a second, as in a film, are enough. Lines that
 * the engine wrote so many at a time have waited there already.
 */
const GATHER_MS = 4;
const FAST_GATHER_MS = 40;
const FAST_FRAMES = 4;
/** Characters of text one stream may produce; past it the stream ends with an error. */
const MAX_CHARACTERS = 32 * 1024 * 1024;
/** Frames of one replay answer, and its share of what the bus takes; the asker comes back for more. */
const REPLAY_FRAMES = 5_000;
const REPLAY_SHARE = 0.5;
/** One frame's share of what the bus takes, and the share of a message of gathered frames; headers and brackets need some too. */
const MESSAGE_SHARE = 0.9;
/** What a frame of little text may take beside its text, in bytes, and what a character of it may. */
const FRAME_BYTES = 200;
const CHARACTER_BYTES = 6;

export interface StreamIdentity {
  readonly id: string;
  readonly epoch: number;
  readonly model: string;
  readonly ownerTokenHash: string;
}

/** Says whether another gateway than the one named has viewers of the stream. */
export type WatchedElsewhere = (gateway: string) => boolean;

export class StreamProducer {
  readonly #bus: Bus;
  readonly #identity: StreamIdentity;
  readonly #frames: Frame[] = [];
  readonly #abort = new AbortController();
  readonly #served: Subscription[];
  #characters = 0;
  /** How many frames are out, and when the last message went. */
  #published = 0;
  #publishedAt = -Infinity;
  #fast = false;
  #gatheredBytes = 0;
  #gathering: NodeJS.Timeout | undefined;
  #stopWith: FrameContent | undefined;
  #ended = false;
  #handedOver = false;
  /** Not told yet. */
  #route: Route | undefined;

  constructor(bus: Bus, identity: StreamIdentity, isWatchedElsewhere: WatchedElsewhere = () => false) {
    this.#bus = bus;
    this.#identity = identity;
    this.#served = [
      bus.serve(StreamReplay, ({ after }) => this.#replay(after), { id: identity.id }),
      bus.serve(
        StreamCancel,
        (by) => {
          if ('operator' in by) return this.#cancelFor(undefined);
          const goesOn = by.unlessWatched !== undefined && isWatchedElsewhere(by.unlessWatched);
          return goesOn ? {} : this.#cancelFor(by.ownerTokenHash);
        },
        { id: identity.id },
      ),
    ];
  }

  get id(): string {
    return this.#identity.id;
  }

  get head(): Head {
    return { epoch: this.#identity.epoch, seq: this.#frames.length };
  }

  /** Publishes what `lines` yields; settles, never rejects, when the terminal frame is out. */
  async run(answer: (signal: AbortSignal) => AsyncIterable<InferenceLine[]>, tellsContext = false): Promise<void> {
    try {
      for await (const lines of answer(this.#abort.signal)) {
        for (const line of lines) for (const content of framesOfLine(line, tellsContext)) this.#take(content);
        this.#sendSoon(lines.length >= FAST_FRAMES);
        if (this.#ended) return;
      }
      throw new MeshError('engine_eof', 'The engine ended the answer without finishing it.');
    } catch (thrown) {
      this.#publish(this.#stopWith ?? { kind: 'error', error: MeshError.from(thrown).toJSON() });
    }
  }

  /** Who answers, of several that could: told with the next frame. */
  routed(route: Route): void {
    this.#route = route;
  }

  /** Tells what the stream waits for, before the engine has answered anything. */
  announce(content: StreamStatus): void {
    this.#publish(content);
  }

  /** Another node goes on with this stream: nothing more comes from here, no end either. */
  handOver(): void {
    this.#ended = true;
    this.#handedOver = true;
  }

  get handedOver(): boolean {
    return this.#handedOver;
  }

  /** Ends a live stream with `error` and drops the engine's request. */
  fail(error: MeshError): void {
    this.#stop({ kind: 'error', error: error.toJSON() });
  }

  /** Ends a live stream as its owner would. */
  cancel(): void {
    this.#stop({ kind: 'done', finishReason: 'cancelled', counters: {} });
  }

  /** Stops answering for this stream. */
  async dispose(): Promise<void> {
    await Promise.all(this.#served.map((subscription) => subscription.drain()));
  }

  #take(content: FrameContent): void {
    if ('text' in content) this.#characters += content.text.length;
    if (this.#characters > MAX_CHARACTERS) throw new MeshError('engine_error', `The answer exceeds ${MAX_CHARACTERS} characters.`);
    this.#number(content);
  }

  #publish(content: FrameContent): void {
    this.#number(content);
    this.#sendSoon();
  }

  /** Makes the next frame; it waits until the whole of what the engine wrote together is numbered. */
  #number(content: FrameContent): void {
    if (this.#ended) return;
    const frame: Frame = { epoch: this.#identity.epoch, seq: this.#frames.length + 1, ...(this.#route && { route: this.#route }), ...content };
    const bytes = bytesOf(frame);
    if (bytes > this.#bus.maxPayloadBytes * MESSAGE_SHARE) throw tooLarge(bytes); // Before it is numbered: then it never was.
    this.#gatheredBytes += bytes;
    this.#route = undefined;
    this.#frames.push(frame);
    this.#ended = frame.kind === 'done' || frame.kind === 'error';
    if (this.#gatheredBytes > (this.#bus.maxPayloadBytes * MESSAGE_SHARE) / 2) this.#send();
  }

  #sendSoon(gathered = false): void {
    if (this.#published === this.#frames.length) return;
    const waitMs = this.#publishedAt + (this.#fast && !gathered ? FAST_GATHER_MS : GATHER_MS) - performance.now();
    if (this.#ended || waitMs <= 1) this.#send(); // A timer would not be finer than that.
    else this.#gathering ??= setTimeout(() => this.#send(), waitMs);
  }

  #send(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const frames = this.#frames.slice(this.#published);
    this.#published = this.#frames.length;
    this.#fast = frames.length >= FAST_FRAMES;
    this.#gatheredBytes = 0;
    this.#publishedAt = performance.now();
    this.#bus.publish(StreamFrames, frames, { id: this.id });
  }

  #stop(content: FrameContent): void {
    if (this.#ended) return;
    this.#stopWith = content;
    this.#abort.abort();
  }

  /** @param ownerTokenHash undefined for an operator */
  #cancelFor(ownerTokenHash: string | undefined): Record<string, never> {
    if (ownerTokenHash !== undefined && !this.#isOwner(ownerTokenHash)) {
      throw new MeshError('forbidden', 'Only the owner of this stream may cancel it: send the ownerToken that its creator got.');
    }
    this.cancel();
    return {};
  }

  #isOwner(tokenHash: string): boolean {
    const [given, expected] = [Buffer.from(tokenHash), Buffer.from(this.#identity.ownerTokenHash)];
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #replay(after: Head): { model: string; frames: Frame[]; head: Head; more: boolean } {
    const from = after.epoch === this.#identity.epoch ? after.seq : 0;
    const frames: Frame[] = [];
    let room = this.#bus.maxPayloadBytes * REPLAY_SHARE;
    for (const frame of this.#frames.slice(from, from + REPLAY_FRAMES)) {
      room -= Buffer.byteLength(JSON.stringify(frame));
      if (room < 0 && frames.length > 0) break;
      frames.push(frame);
    }
    return { model: this.#identity.model, frames, head: this.head, more: from + frames.length < this.#frames.length };
  }
}

/** At least the bytes of `frame` on the bus; exact for what is not small. */
function bytesOf(frame: Frame): number {
  const estimate = 'text' in frame && !frame.route ? FRAME_BYTES + CHARACTER_BYTES * frame.text.length : Infinity;
  return estimate < 64 * 1024 ? estimate : Buffer.byteLength(JSON.stringify(frame));
}

function tooLarge(bytes: number): MeshError {
  return new MeshError('payload_too_large', `The engine answered with one piece of ${bytes} bytes, more than the bus takes.`, { details: { bytes } });
}
