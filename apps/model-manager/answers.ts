/**
 * The engine's answer to a stream's request: when its turn has come, with what its model's settings fill in, and elsewhere where
 * this engine fails before its first word. producers.ts owns the streams, scheduling/ the turns.
 */
import { Injectable } from '@nestjs/common';
import { type EngineGeneration, MeshError } from '#contracts';
import type { InferenceLine } from '#ollama';
import { isNodeFailure } from '#placement';
import { EngineLink } from './engine-link.js';
import type { EngineRequest } from './engine-request.js';
import { Peers } from './peers.js';
import type { StreamIdentity, StreamProducer } from './producer.js';
import { Residency } from './residency.js';
import { Turns } from './scheduling/turns.js';

/** Everything about a stream that another node would need to make it. */
export interface Job extends StreamIdentity {
  readonly generation: EngineGeneration;
  readonly client: string;
  readonly cancelUnwatchedMs: number | undefined;
  /** Another node failed at it already. */
  readonly retried: boolean;
}

@Injectable()
export class Answers {
  readonly #engine: EngineLink;
  readonly #residency: Residency;
  readonly #turns: Turns;
  readonly #peers: Peers;

  constructor(engine: EngineLink, residency: Residency, turns: Turns, peers: Peers) {
    this.#engine = engine;
    this.#residency = residency;
    this.#turns = turns;
    this.#peers = peers;
  }

  /** @throws MeshError `too_many_requests` */
  refuseIfFull(model: string, client: string): void {
    this.#turns.refuseIfFull(model, client);
  }

  /** The engine's answer, when its turn has come. A request that never reached the engine waits until it is back. */
  async *answer(producer: StreamProducer, job: Job, { path, body }: EngineRequest, signal: AbortSignal): AsyncGenerator<InferenceLine[]> {
    const { model, client } = job;
    const waitUntil = performance.now() + this.#turns.waitMs;
    for (;;) {
      let hasWaited = false;
      const told = (position: number, etaMs: number | undefined) => {
        hasWaited = true;
        producer.announce({ kind: 'queued', position, ...(etaMs !== undefined && { etaMs }) });
      };
      const giveBack = await this.#turns.take({ model, client, signal, waitUntil, told });
      if (hasWaited && this.#residency.of(model).state !== 'resident') producer.announce({ kind: 'loading', model });
      const begun = { value: false };
      try {
        yield* this.#lines(model, path, body, signal, begun);
        return;
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.code === 'engine_unavailable') this.#turns.suspend();
        if (begun.value || signal.aborted) throw thrown;
        if (await this.#handOver(producer, job, error)) return;
        if (!neverReached(error) || performance.now() > waitUntil) throw thrown;
      } finally {
        giveBack();
      }
    }
  }

  /** What failed here before its first word is tried once elsewhere. @returns whether another node has it now */
  async #handOver(producer: StreamProducer, { id: streamId, epoch, ownerTokenHash, model, generation, client, cancelUnwatchedMs, retried }: Job, error: MeshError): Promise<boolean> {
    if (retried || !isNodeFailure(error)) return false;
    const request = { streamId, epoch, ownerTokenHash, model, generation, client, retried: true, ...(cancelUnwatchedMs !== undefined && { cancelUnwatchedMs }) };
    if (!(await this.#peers.handOver(request))) return false;
    producer.handOver();
    return true;
  }

  async *#lines(model: string, path: EngineRequest['path'], body: EngineRequest['body'], signal: AbortSignal, begun: { value: boolean }): AsyncGenerator<InferenceLine[]> {
    const client = await this.#engine.client();
    const loaded = this.#residency.beginLoading(model);
    try {
      for await (const lines of client[path](this.#residency.complete(model, body), signal)) {
        loaded();
        begun.value = true;
        yield lines;
      }
    } finally {
      loaded();
    }
  }
}

/** True where nobody took the connection. */
function neverReached({ code, cause }: MeshError): boolean {
  return code === 'engine_unavailable' && (cause === undefined || (cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'));
}
