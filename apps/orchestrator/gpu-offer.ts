/**
 * What gpu-agent says of this machine's GPUs, as the drivers ask for it. Reading the hardware takes longer than adopting a
 * container, so what was known the last time is used until the answer is here; if that is another one, all is chosen anew.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { GpuCandidate, HardwareDescribe, MeshError } from '#contracts';
import { z } from 'zod';

/** How long gpu-agent may take where nothing is remembered, in milliseconds: a driver's look must not take longer than three seconds altogether. */
const PATIENCE_MS = 1_500;
/** And where something is. */
const REMEMBERED_PATIENCE_MS = 30;
/** How long the answer may take at all: gpu-agent may only just be starting. */
const ANSWER_MS = 15_000;

/** Between two questions while the agent has read the GPUs but not yet made a plan, in milliseconds. */
const PLAN_EVERY_MS = 200;

const Remembered = z.array(GpuCandidate).min(1);

/** With its keys in one order, fresh or remembered: containers carry a hash of it. */
const ordered = (offer: unknown): readonly GpuCandidate[] => Remembered.parse(offer);

export class GpuOffer {
  readonly #bus: Bus;
  readonly #file: string;
  readonly #closed = new AbortController();
  #listener: () => void = () => undefined;
  #answered = false;
  #known: Promise<readonly GpuCandidate[] | MeshError> | undefined;

  /** @param file remembers the offer for the next start */
  constructor(bus: Bus, file: string) {
    this.#bus = bus;
    this.#file = file;
  }

  /** Ways to give a container a GPU, best first and the CPU last. Without an answer there is no GPU: the CPU always works. */
  async candidates(signal: AbortSignal): Promise<readonly GpuCandidate[]> {
    const remembered = await this.#remembered();
    const answer = this.#ask(remembered);
    const over = new AbortController();
    const patience = sleep(remembered ? REMEMBERED_PATIENCE_MS : PATIENCE_MS, undefined, { signal: AbortSignal.any([signal, over.signal]) });
    const known = await Promise.race([answer, patience]).finally(() => over.abort());
    if (known && !(known instanceof MeshError)) return known;
    return remembered ?? [{ way: 'cpu', reason: `The GPUs of this machine are not known: ${known?.message ?? 'gpu-agent does not answer.'}`, imageVariant: '', access: {}, gpus: [] }];
  }

  /** Whether there is a GPU at all, for an engine that finds it by itself. */
  async any(signal: AbortSignal): Promise<boolean> {
    return (await this.candidates(signal)).length > 1;
  }

  /** Calls back when the machine offers something else than was remembered. */
  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#closed.abort();
  }

  /** One question at a time; the next look asks anew. */
  #ask(remembered: readonly GpuCandidate[] | undefined): Promise<readonly GpuCandidate[] | MeshError> {
    this.#known ??= this.#answer(remembered).finally(() => (this.#known = undefined));
    return this.#known;
  }

  async #answer(remembered: readonly GpuCandidate[] | undefined): Promise<readonly GpuCandidate[] | MeshError> {
    try {
      const offer = ordered(await this.#planned());
      const isFirst = !this.#answered;
      this.#answered = true;
      if (JSON.stringify(offer) === JSON.stringify(remembered)) return offer;
      await mkdir(dirname(this.#file), { recursive: true });
      await writeFile(this.#file, JSON.stringify(offer), { mode: 0o600 });
      // Later changes are for the next start: an offer that wavers must not restart the engine again and again.
      if (remembered && isFirst) this.#listener();
      return offer;
    } catch (thrown) {
      return MeshError.from(thrown);
    }
  }

  /** The plan's ways; it is there once the container runtimes have been looked at too. */
  async #planned(): Promise<readonly GpuCandidate[]> {
    const { signal } = this.#closed;
    for (const end = performance.now() + ANSWER_MS; performance.now() < end; await sleep(PLAN_EVERY_MS, undefined, { signal })) {
      const { plan } = await this.#bus.call(HardwareDescribe, {}, { signal, deadlineMs: ANSWER_MS });
      if (plan) return plan.candidates;
    }
    throw new MeshError('deadline_exceeded', `gpu-agent made no plan within ${ANSWER_MS / 1_000} s.`);
  }

  async #remembered(): Promise<readonly GpuCandidate[] | undefined> {
    try {
      return ordered(JSON.parse(await readFile(this.#file, 'utf8')));
    } catch {
      return undefined; // The first start, or not written by us.
    }
  }
}
