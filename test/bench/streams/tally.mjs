// What viewers got: every token once and in order, the same text for all of a stream, and how old each token was on arrival.
import { createHash } from 'node:crypto';
import { machineNow, tokensOf } from './tokens.mjs';

/** Ages are counted in buckets of this width; what is older than the last counts as the last. */
const BUCKET_MS = 0.1;
const MAX_BUCKET = 600_000;

/** The text of one stream, as its viewers agree on it. */
export class Text {
  #words = [];

  get tokens() {
    return this.#words.length;
  }

  get sha256() {
    return createHash('sha256').update(this.#words.map((word) => ` ${word}`).join('')).digest('hex');
  }

  /** Reads a text for someone who has `from` tokens. @returns when each was emitted @throws when it is not exactly what follows */
  read(text, from) {
    const tokens = tokensOf(text);
    for (const [index, { number, word }] of tokens.entries()) {
      if (number !== from + index) throw new Error(`Token ${from + index} should have come, ${number} did.`);
      if (number === this.#words.length) this.#words.push(word);
      else if (this.#words[number] !== word) throw new Error(`Token ${number} is "${word}" here and "${this.#words[number]}" elsewhere.`);
    }
    return tokens.map(({ emittedAt }) => emittedAt);
  }
}

/** How old tokens were when they arrived, over all viewers of a group. */
export class Ages {
  #buckets = new Uint32Array(MAX_BUCKET + 1);
  #tokens = 0;
  #updates = 0;
  #lastAt = 0;

  /** Counts an update that brought the tokens emitted at these times. */
  count(emittedAt) {
    const now = machineNow();
    for (let i = 0; i < emittedAt.length; i++) {
      this.#buckets[Math.max(0, Math.min(MAX_BUCKET, Math.floor((now - emittedAt[i]) / BUCKET_MS)))]++;
    }
    this.#tokens += emittedAt.length;
    this.#updates++;
    this.#lastAt = now;
  }

  summary() {
    const [p50, p99, max] = [0.5, 0.99, 1].map((share) => this.#quantile(share));
    return { delivered: this.#tokens, updates: this.#updates, lastAt: this.#lastAt, latencyMs: { p50, p99, max } };
  }

  #quantile(share) {
    let left = Math.max(1, Math.ceil(share * this.#tokens));
    for (let bucket = 0; bucket <= MAX_BUCKET; bucket++) {
      left -= this.#buckets[bucket];
      if (left <= 0) return (bucket + 1) * BUCKET_MS;
    }
    return NaN;
  }
}
