/** Says which streams nobody watches any more, of those whose creator wants them to end then. Gateways say every second what is watched. */

/** A gateway that has not said so for this long has no viewers any more, in milliseconds; it says so every second. */
const SILENT_MS = 2_000;

export class Unwatched {
  /** Grace and time since somebody was last heard to watch, of each stream, and since each gateway said so; in milliseconds. */
  readonly #streams = new Map<string, { readonly graceMs: number; unwatchedMs: number; readonly watching: Map<string, number> }>();

  /** From now on `id` may be unwatched for `graceMs`, also before its first viewer. */
  add(id: string, graceMs: number): void {
    this.#streams.set(id, { graceMs, unwatchedMs: 0, watching: new Map() });
  }

  forget(id: string): void {
    this.#streams.delete(id);
  }

  /** A gateway has viewers of these. */
  heard(gateway: string, ids: readonly string[]): void {
    for (const id of ids) {
      const stream = this.#streams.get(id);
      if (!stream) continue;
      stream.unwatchedMs = 0;
      stream.watching.set(gateway, 0);
    }
  }

  /** True while another gateway than `gateway` has viewers of `id`, as far as was heard. */
  isWatchedElsewhere(id: string, gateway: string): boolean {
    const watching = this.#streams.get(id)?.watching.keys() ?? [];
    return [...watching].some((other) => other !== gateway);
  }

  /**
   * Lets time pass in which gateways could be heard.
   * @returns streams whose grace is over; each once
   */
  pass(ms: number): string[] {
    const over: string[] = [];
    for (const [id, stream] of this.#streams) {
      stream.unwatchedMs += ms;
      for (const [gateway, silentMs] of stream.watching) {
        if (silentMs >= SILENT_MS) stream.watching.delete(gateway);
        else stream.watching.set(gateway, silentMs + ms);
      }
      if (stream.unwatchedMs > stream.graceMs) over.push(id);
    }
    for (const id of over) this.forget(id);
    return over;
  }
}
