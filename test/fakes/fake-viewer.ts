/** A viewer in memory that notes what it is told and can be slow; what it shows follows docs/PROTOCOL.md, not libs/streams. */
import type { Transport, Update, Viewer } from '../../apps/gateway/relay/viewer.js';

export class FakeViewer implements Viewer {
  readonly updates: Update[] = [];
  /** True: more waits for it than it may. */
  behind = false;
  /** Updates after which it is behind, each time it has drained. */
  takes = Number.POSITIVE_INFINITY;
  /** Processor time that a write to it takes, in milliseconds. */
  writeMs = 0;
  ended = false;
  disconnected = false;
  #drained: (() => void) | undefined;
  #taken = 0;

  constructor(readonly transport: FakeTransport) {}

  get events(): string[] {
    return this.updates.map(({ event }) => event);
  }

  get text(): string {
    let text = '';
    for (const update of this.updates) {
      if (update.event === 'done' || update.event === 'failed') continue;
      const said = update.data.parts.map((part) => (part.kind === 'text' ? part.text : '')).join('');
      text = update.event === 'snapshot' ? said : text + said;
    }
    return text;
  }

  get position(): string | undefined {
    return this.updates.at(-1)?.data.position;
  }

  get terminals(): Update[] {
    return this.updates.filter(({ event }) => event === 'done' || event === 'failed');
  }

  isBehind(): boolean {
    return this.behind || this.#taken >= this.takes;
  }

  onceDrained(listener: () => void): void {
    this.#drained = listener;
  }

  /** True while the relay waits for it. */
  get parked(): boolean {
    return this.#drained !== undefined;
  }

  /** Takes what waits. */
  drain(): void {
    const drained = this.#drained;
    this.#drained = undefined;
    this.behind = false;
    this.#taken = 0;
    drained?.();
  }

  write(_bytes: Buffer, updates: readonly Update[]): void {
    for (const until = performance.now() + this.writeMs; performance.now() < until; );
    this.#taken++;
    this.updates.push(...structuredClone(updates));
  }

  keepAlive(): void {
    this.transport.keepAlives++;
  }

  end(): void {
    this.ended = true;
  }

  disconnect(): void {
    this.disconnected = true;
  }
}

export class FakeTransport implements Transport {
  /** Updates that were encoded. */
  encodings = 0;
  keepAlives = 0;

  encode(update: Update): Buffer {
    this.encodings++;
    return Buffer.from(JSON.stringify(update));
  }
}
