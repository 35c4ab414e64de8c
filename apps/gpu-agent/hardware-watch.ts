/** Samples the hardware, often while somebody looks and seldom otherwise, and publishes what differs noticeably. */
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import { HARDWARE_LEASE_MS, type Hardware, HardwareChanged } from '#contracts';
import { HardwareReader } from '#hardware';
import { changedNoticeably } from './changes.js';

export const SAMPLE_EVERY_MS = { watched: 2_000, idle: 30_000 } as const;

@Injectable()
export class HardwareWatch implements OnApplicationBootstrap, OnApplicationShutdown {
  #published: Hardware | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #watchedUntil = Number.NEGATIVE_INFINITY;
  #over = false;

  constructor(
    private readonly bus: Bus,
    private readonly reader: HardwareReader,
  ) {}

  onApplicationBootstrap(): void {
    this.#sample();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#reading;
  }

  /** The hardware as it is now. */
  read(): Promise<Hardware> {
    return this.reader.read();
  }

  /** Says again what was said last, for those who have just come. */
  repeat(): void {
    if (this.#published) this.bus.publish(HardwareChanged, this.#published);
  }

  /** Somebody looks, for the length of a lease: the first of them need not wait for an idle turn to pass. */
  renewLease(now = performance.now()): void {
    const wasIdle = now >= this.#watchedUntil;
    this.#watchedUntil = now + HARDWARE_LEASE_MS;
    if (wasIdle && this.#timer !== undefined) this.#sample();
  }

  #sample(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#reading = this.#look().finally(() => {
      if (this.#over) return;
      this.#timer = setTimeout(() => this.#sample(), performance.now() < this.#watchedUntil ? SAMPLE_EVERY_MS.watched : SAMPLE_EVERY_MS.idle);
    });
  }

  async #look(): Promise<void> {
    const hardware = await this.reader.read();
    if (this.#over || !changedNoticeably(this.#published, hardware)) return;
    this.#published = hardware;
    this.bus.publish(HardwareChanged, hardware);
  }
}
