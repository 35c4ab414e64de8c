/** Says which streams nobody watches any more, of those whose creator wants them to end then. Gateways say every second what is watched. */

export class Unwatched {
  /** Grace and time since somebody was last heard to watch, of each stream, in milliseconds. */
  readonly #streams = new Map<string, { readonly graceMs: number; unwatchedMs: number }>();

  /** From now on `id` may be unwatched for `graceMs`, also before its first viewer. */
  add(id: string, graceMs: number): void {
    this.#streams.set(id, { graceMs, unwatchedMs: 0 });
  }

  forget(id: string): void {
    this.#streams.delete(id);
  }

  /** A gateway has viewers of these. */
  heard(ids: readonly string[]): void {
    for (const id of ids) {
      const stream = this.#streams.get(id);
      if (stream) stream.unwatchedMs = 0;
    }
  }

  /**
   * Lets time pass in which gateways could be heard.
   * @returns streams whose grace is over; each once
   */
  pass(ms: number): string[] {
    const over: string[] = [];
    for (const [id, stream] of this.#streams) {
      stream.unwatchedMs += ms;
      if (stream.unwatchedMs > stream.graceMs) over.push(id);
    }
    for (const id of over) this.forget(id);
    return over;
  }
}
