/** A bus of a test's own: the embedded broker on a free port, as many apps on it as wanted, and what they logged. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type Broker, type BrokerOptions, startBroker } from '#broker';
import { Bus, connectBus } from '#bus';
import type { AppName } from '#contracts';

export class TestBus {
  /** What every connected app warned of. */
  readonly warnings: string[] = [];
  readonly #buses: Bus[] = [];
  #broker: Broker;

  private constructor(broker: Broker) {
    this.#broker = broker;
  }

  static async start(options: BrokerOptions = {}): Promise<TestBus> {
    return new TestBus(await startBroker(options));
  }

  async connect(app: AppName, node = 'local'): Promise<Bus> {
    const bus = await connectBus({ url: this.#broker.url, app, node, root: 'ollamesh', log: { warn: (message) => void this.warnings.push(message) } });
    this.#buses.push(bus);
    return bus;
  }

  /** Takes the server away, and brings it back on the same port. */
  async restart(): Promise<void> {
    const { port } = this.#broker;
    await this.#broker.close();
    this.#broker = await startBroker({ port });
  }

  async close(): Promise<void> {
    await Promise.all(this.#buses.map((bus) => bus.close()));
    await this.#broker.close();
  }
}

/** Waits until `condition` holds, which is looked at every `everyMs`; 0: every turn of the event loop. @throws Error when that takes longer than any machine needs */
export async function eventually(condition: () => boolean, limitMs = 15_000, everyMs = 5): Promise<void> {
  const until = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > until) throw new Error(`waited ${limitMs} ms in vain for ${String(condition)}`);
    await (everyMs === 0 ? nextTurn() : sleep(everyMs));
  }
}
