/** Reads the hardware again and again, keeps the latest reading, and publishes it when it differs noticeably. */
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import { type Hardware, HardwareChanged } from '#contracts';
import { changedNoticeably } from './changes.js';
import { HardwareReader } from './hardware-reader.js';

const READ_EVERY_MS = 10_000;

@Injectable()
export class HardwareWatch implements OnApplicationBootstrap, OnApplicationShutdown {
  #published: Hardware | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #over = false;

  constructor(
    private readonly bus: Bus,
    private readonly reader: HardwareReader,
  ) {}

  onApplicationBootstrap(): void {
    this.#next();
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

  #next(): void {
    this.#reading = this.#look().finally(() => {
      if (!this.#over) this.#timer = setTimeout(() => this.#next(), READ_EVERY_MS);
    });
  }

  async #look(): Promise<void> {
    const hardware = await this.reader.read();
    if (this.#over || !changedNoticeably(this.#published, hardware)) return;
    this.#published = hardware;
    this.bus.publish(HardwareChanged, hardware);
  }
}
