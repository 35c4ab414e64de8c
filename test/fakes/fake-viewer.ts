/** A viewer that remembers what it was shown, and can be as slow as a test wants. */
import type { Audience, Transport, Update, Viewer } from '../../apps/gateway/relay/viewer.js';

export class FakeTransport implements Transport {
  createAudience(): Audience {
    const viewers = new Set<FakeViewer>();
    return {
      get size() {
        return viewers.size;
      },
      add: (viewer) => void viewers.add(viewer as FakeViewer),
      delete: (viewer) => void viewers.delete(viewer as FakeViewer),
      send: (update) => {
        for (const viewer of viewers) viewer.send(update);
      },
      keepAlive: () => undefined,
    };
  }
}

export class FakeViewer implements Viewer {
  readonly updates: Update[] = [];
  slow = false;
  ended = false;
  disconnected = false;
  #drained: (() => void) | undefined;

  constructor(readonly transport: FakeTransport = new FakeTransport()) {}

  isBehind(): boolean {
    return this.slow;
  }

  onceDrained(listener: () => void): void {
    this.#drained = listener;
  }

  /** Takes all that waited for it. */
  catchUp(): void {
    this.slow = false;
    this.#drained?.();
    this.#drained = undefined;
  }

  send(update: Update): void {
    this.updates.push(update);
  }

  end(): void {
    this.ended = true;
  }

  disconnect(): void {
    this.disconnected = true;
  }

  /** The text as a viewer has it: a snapshot replaces, a delta appends. */
  get text(): string {
    let text = '';
    for (const { event, data } of this.updates) {
      if (event === 'snapshot') text = '';
      if (event === 'snapshot' || event === 'delta') for (const part of data.parts) if (part.kind === 'text') text += part.text;
    }
    return text;
  }

  get last(): Update | undefined {
    return this.updates.at(-1);
  }
}
