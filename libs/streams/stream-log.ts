/**
 * A stream's state as its numbered frames build it up: the parts, what it waits for, how it ended, and for every frame how
 * far the parts reached, so that a viewer at any position gets exactly what it lacks. Does no I/O; relay.ts owns delivery.
 */
import type { Ending, ErrorBody, Frame, Head, Part, Route, StoredLog, StreamStatus } from '#contracts';
import { appendPart, partOf } from './parts.js';
import { comparePositions } from './position.js';

/** What a frame did: `gap` means that frames before it are missing; it was not taken. */
export type Applied = 'applied' | 'duplicate' | 'gap' | 'after the end';

/** What a viewer at some position lacks. */
export interface Missing {
  readonly parts: Part[];
  readonly status: StreamStatus | undefined;
}

/** Two numbers per frame. */
const FRAME_BYTES = 16;

export class StreamLog {
  #epoch = 1;
  #seq = 0;
  #parts: Part[] = [];
  #status: StreamStatus | undefined;
  #ending: Ending | undefined;
  #route: Route | undefined;
  /** After frame seq (index seq - 1): how many parts there were, and how long the last one's text was. */
  #partCounts: number[] = [];
  #lastLengths: number[] = [];
  #characters = 0;

  /** A log as `stored` wrote it: every position that it knew is known again. */
  static restore({ epoch, parts, ending, route, steps }: StoredLog): StreamLog {
    const log = new StreamLog();
    log.#epoch = epoch;
    log.#seq = steps.length;
    log.#parts = parts;
    log.#ending = ending;
    log.#route = route;
    for (const part of parts) log.#characters += charactersOf(part);
    let [count, length] = [0, 0];
    for (const step of steps) {
      if (step < 0) [count, length] = [count + 1, -1 - step];
      else length += step;
      log.#partCounts.push(count);
      log.#lastLengths.push(length);
    }
    return log;
  }

  get head(): Head {
    return { epoch: this.#epoch, seq: this.#seq };
  }

  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** Memory that the content takes, in bytes, roughly: two per character and what is remembered of each frame. */
  get bytes(): number {
    return 2 * this.#characters + FRAME_BYTES * this.#seq;
  }

  /** What the stream waits for; undefined once content came. */
  get status(): StreamStatus | undefined {
    return this.#status;
  }

  /** How the stream ended; undefined while it lives. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Who answers, once that is known, where there was a choice of targets. */
  get route(): Route | undefined {
    return this.#route;
  }

  /** Takes the next frame. A frame of a higher epoch starts the answer anew; one of a lower epoch is a duplicate. */
  apply(frame: Frame): Applied {
    if (frame.epoch < this.#epoch || (frame.epoch === this.#epoch && frame.seq <= this.#seq)) return 'duplicate';
    if (this.#ending) return 'after the end';
    if (frame.epoch > this.#epoch) {
      if (frame.seq !== 1) return 'gap';
      this.#restart(frame.epoch);
    } else if (frame.seq !== this.#seq + 1) {
      return 'gap';
    }
    this.#take(frame);
    return 'applied';
  }

  /** Ends a stream whose producer can't: the gateway's own terminal frame. No effect on a stream that has ended. */
  fail(error: ErrorBody): void {
    this.apply({ epoch: this.#epoch, seq: this.#seq + 1, kind: 'error', error });
  }

  /** What came after `position`, up to `until`, or undefined when this log never was at that position. */
  since(position: Head, until: Head = this.head): Missing | undefined {
    if (position.epoch !== this.#epoch || position.seq < 0 || position.seq > until.seq) return undefined;
    const seen = this.#partsAt(position.seq);
    const [open, ...parts] = this.#slice(Math.max(seen - 1, 0), until.seq);
    if (!open) return { parts, status: this.#status };
    if (seen === 0) return { parts: [open, ...parts], status: this.#status };
    const rest = open.kind === 'tool' ? '' : open.text.slice(this.#lastLengths[position.seq - 1]);
    if (open.kind !== 'tool' && rest !== '') parts.unshift({ kind: open.kind, text: rest });
    return { parts, status: this.#status };
  }

  /** The furthest position that lies at most so many characters, but at least one frame, after `position`; undefined as for `since`. */
  within(position: Head, characters: number): Head | undefined {
    if (this.since(position) === undefined) return undefined;
    let [near, far] = [Math.min(position.seq + 1, this.#seq), this.#seq];
    while (near < far) {
      const seq = Math.ceil((near + far) / 2);
      const size = this.since(position, { epoch: this.#epoch, seq })?.parts.reduce((sum, part) => sum + charactersOf(part), 0) ?? 0;
      if (size <= characters) near = seq;
      else far = seq - 1;
    }
    return { epoch: this.#epoch, seq: near };
  }

  /** The content as it was at `position` of this epoch. A copy. */
  partsUntil({ seq }: Head): Part[] {
    return this.#slice(0, seq);
  }

  /** True for a viewer that has seen everything there will ever be. */
  isTerminal(position: Head): boolean {
    return this.#ending !== undefined && comparePositions(position, this.head) === 0;
  }

  /** The log of a stream that has ended, to be kept elsewhere; undefined while it lives. */
  stored(): StoredLog | undefined {
    if (!this.#ending) return undefined;
    const steps = this.#lastLengths.map((length, index) => {
      const begun = (this.#partCounts[index] ?? 0) > (this.#partCounts[index - 1] ?? 0);
      return begun ? -1 - length : length - (this.#lastLengths[index - 1] ?? 0);
    });
    return { epoch: this.#epoch, parts: this.#parts, ending: this.#ending, ...(this.#route && { route: this.#route }), steps };
  }

  /** How many parts there were after frame `seq`. */
  #partsAt(seq: number): number {
    return seq === 0 ? 0 : (this.#partCounts[seq - 1] ?? 0);
  }

  /** Copies of the parts from number `from` on, as they were after frame `seq`. */
  #slice(from: number, seq: number): Part[] {
    const parts: Part[] = this.#parts.slice(from, this.#partsAt(seq)).map((part) => ({ ...part }));
    const last = parts.at(-1);
    if (last && last.kind !== 'tool') last.text = last.text.slice(0, this.#lastLengths[seq - 1]);
    return parts;
  }

  #restart(epoch: number): void {
    this.#epoch = epoch;
    this.#seq = 0;
    this.#route = undefined;
    this.#parts = [];
    this.#partCounts = [];
    this.#lastLengths = [];
    this.#characters = 0;
  }

  #take(frame: Frame): void {
    this.#seq = frame.seq;
    this.#route = frame.route ?? this.#route;
    this.#status = undefined;
    switch (frame.kind) {
      case 'queued':
        this.#status = { kind: 'queued', position: frame.position, ...(frame.etaMs !== undefined && { etaMs: frame.etaMs }) };
        break;
      case 'loading':
        this.#status = { kind: 'loading', model: frame.model };
        break;
      case 'done':
        this.#ending = { kind: 'done', finishReason: frame.finishReason, counters: frame.counters, ...(frame.context && { context: frame.context }) };
        break;
      case 'error':
        this.#ending = { kind: 'error', error: frame.error };
        break;
    }
    const part = partOf(frame);
    if (part) this.#append(part);
    const last = this.#parts.at(-1);
    this.#partCounts.push(this.#parts.length);
    this.#lastLengths.push(last === undefined || last.kind === 'tool' ? 0 : last.text.length);
  }

  #append(part: Part): void {
    this.#characters += charactersOf(part);
    appendPart(this.#parts, part);
  }
}

function charactersOf(part: Part): number {
  if (part.kind === 'tool') return JSON.stringify(part.calls).length;
  return part.text.length + (part.kind === 'text' && part.logprobs ? JSON.stringify(part.logprobs).length : 0);
}
