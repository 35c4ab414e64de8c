/** A source that may be slow: whoever asks waits a little, and otherwise gets what it said last. */

/** Parts that a wait is counted in. */
const TURNS = 10;

export interface Answer<T> {
  /** Undefined where the source has never answered. */
  readonly value: T | undefined;
  /** True when the source is still at it, so that `value` is what it said before. */
  readonly late: boolean;
}

export interface LatestOptions<T> {
  /** Must not reject. */
  readonly ask: () => Promise<T>;
  /** How long an answer stands before the source is asked again, in milliseconds. */
  readonly restMs?: (value: T) => number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Asks its source one question at a time, so that a source that hangs hangs once and not once per reader. */
export class Latest<T> {
  readonly #ask: () => Promise<T>;
  readonly #restMs: (value: T) => number;
  readonly #now: () => number;
  #asked: Promise<T> | undefined;
  #value: T | undefined;
  #restsUntil = -Infinity;

  constructor({ ask, restMs = () => 0, now = () => performance.now() }: LatestOptions<T>) {
    this.#ask = ask;
    this.#restMs = restMs;
    this.#now = now;
  }

  /** Settles within `waitMs` milliseconds of a process that gets to run: while one is kept from it (others take the processor, something long blocks it), its sources are too. */
  async get(waitMs: number): Promise<Answer<T>> {
    if (this.#now() < this.#restsUntil) return { value: this.#value, late: false };
    const asked = (this.#asked ??= this.#askOnce());
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Answer<T>>((resolve) => {
      let turns = TURNS;
      timer = setInterval(() => {
        if (--turns === 0) resolve({ value: this.#value, late: true });
      }, waitMs / TURNS);
    });
    try {
      return await Promise.race([asked.then((value) => ({ value, late: false })), late]);
    } finally {
      clearInterval(timer);
    }
  }

  async #askOnce(): Promise<T> {
    try {
      const value = await this.#ask();
      this.#value = value;
      this.#restsUntil = this.#now() + this.#restMs(value);
      return value;
    } finally {
      this.#asked = undefined;
    }
  }
}
