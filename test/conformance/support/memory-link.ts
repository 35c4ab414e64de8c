/** A session's link in memory: keeps what the session writes, and can pretend that nobody reads. */
import type { Link } from '../../../libs/broker/link.js';

export class MemoryLink implements Link {
  readonly remote = 'memory:0';
  /** Bytes the "operating system" has not taken; only grows, and only while `stuck`. */
  buffered = 0;
  stuck = false;
  paused = false;
  /** How the session hung up. */
  ended: 'no' | 'politely' | 'at once' = 'no';
  #written: Buffer[] = [];

  write(buffers: readonly Buffer[]): void {
    if (this.ended !== 'no') throw new Error('written to after the end');
    this.#written.push(...buffers);
    if (this.stuck) for (const buffer of buffers) this.buffered += buffer.length;
  }

  end(): void {
    this.ended = 'politely';
  }

  destroy(): void {
    this.ended = 'at once';
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** Everything written since the last call, Latin-1. */
  take(): string {
    const text = Buffer.concat(this.#written).toString('latin1');
    this.#written = [];
    return text;
  }
}
