/** The other nodes, to which a stream is handed over that failed here before anybody saw a word of it. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { InferenceStart, type NodeStatus } from '#contracts';
import { Placement } from '#placement';
import type { z } from 'zod';

/** Nodes that are asked to take one stream over. */
const MAX_ASKED = 3;

@Injectable()
export class Peers {
  readonly #bus: Bus;
  readonly #placement: Placement;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#placement = new Placement(bus.node);
  }

  take(status: NodeStatus): void {
    this.#placement.take(status);
  }

  /**
   * Gives a stream to another node that has `model`, as its next epoch.
   * @returns false where there is none, or it would not
   */
  async handOver(request: z.input<typeof InferenceStart.request>, model: string): Promise<boolean> {
    const tried = new Set([this.#bus.node]);
    while (tried.size <= MAX_ASKED) {
      const choice = this.#placement.choose(model, tried);
      if (!choice || choice.reason === 'could pull it' || choice.reason === 'its engine is coming') return false;
      tried.add(choice.node);
      try {
        await this.#bus.call(InferenceStart, { ...request, epoch: request.epoch + 1 }, { node: choice.node });
        return true;
      } catch {
        continue; // What it said of itself is out of date. The stream ends with the error that it has already where nobody takes it.
      }
    }
    return false;
  }
}
