/** Waits for a condition of the outside world that announces itself to nobody. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Returns what `look` returned once it is truthy. @throws when it isn't within `timeoutMs` */
export async function until<Seen>(what: string, look: () => Seen | Promise<Seen>, timeoutMs = 20_000): Promise<NonNullable<Seen>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs} ms in vain until ${what}.`);
    await sleep(20);
  }
}
