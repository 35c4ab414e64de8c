/** Connections that stay open by a key, so that one that is revoked or expires ends them. */
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Admission } from './admission.js';
import type { Caller } from './caller.js';
import { KeyRing } from './key-ring.js';

/** How often keys are looked at for having expired, in milliseconds. */
const CHECK_MS = 1_000;

@Injectable()
export class OpenConnections implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #admission: Admission;
  readonly #open = new Map<string, { readonly caller: Caller; readonly cuts: Set<() => unknown> }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(admission: Admission, ring: KeyRing) {
    this.#admission = admission;
    ring.onChanged(() => this.#cutEnded());
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => this.#cutEnded(), CHECK_MS);
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** Calls `cut` when the caller's key ends. @returns what to call when the connection has ended by itself */
  add(caller: Caller, cut: () => unknown): () => void {
    const { keyId } = caller;
    if (keyId === undefined) return () => undefined;
    const open = this.#open.get(keyId) ?? { caller, cuts: new Set() };
    this.#open.set(keyId, open);
    open.cuts.add(cut);
    return () => {
      open.cuts.delete(cut);
      if (open.cuts.size === 0) this.#open.delete(keyId);
    };
  }

  #cutEnded(): void {
    for (const { caller, cuts } of this.#open.values()) {
      if (!this.#admission.endOf(caller)) continue;
      for (const cut of cuts) cut();
    }
  }
}
