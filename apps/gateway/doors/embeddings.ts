/** Vectors of any number of texts, asked for in batches whose answers fit in a message of the bus. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { AskedModel, InferenceEmbed, MeshError, type ModelChoice, parseOrThrow } from '#contracts';
import { z } from 'zod';
import type { Caller } from '../guard/caller.js';
import { MeshView } from '../mesh-view.js';
import { ModelChooser } from '../model-chooser.js';
import { answeringModel, providerOf } from '../route-text.js';
import { Usage } from '../usage.js';

/** Texts of one batch, and their characters: a vector is some 20 kB of JSON, a message 1 MB on a NATS server left as it is. */
const BATCH_TEXTS = 32;
const BATCH_CHARACTERS = 256 * 1024;

type Wanted = Omit<z.input<typeof InferenceEmbed.request>, 'input' | 'client'> & { readonly input: readonly string[] };
export type Embedded = z.output<typeof InferenceEmbed.reply> & { readonly node: string; readonly choice?: ModelChoice };

@Injectable()
export class Embeddings {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
    private readonly usage: Usage,
    private readonly chooser: ModelChooser,
  ) {}

  /**
   * @param caller whose turn it takes in an engine's queue, and whose account
   * @param signal aborts when the client leaves: no further batch is asked for then
   * @throws MeshError `model_not_found`, `invalid_request` in the engine's words, `payload_too_large`, `too_many_requests`, `deadline_exceeded` after its time in the queue, `cancelled`
   */
  async embed({ input, model, ...wanted }: Wanted, { id: client, keyId }: Pick<Caller, 'id' | 'keyId'>, signal: AbortSignal): Promise<Embedded> {
    const asked = model === undefined ? undefined : parseOrThrow(z.object({ model: AskedModel }), { model }).model;
    const { model: settled, choice } = await this.chooser.settle(asked);
    const named = { ...(settled !== undefined && { model: settled }) };
    const node = this.mesh.nodeFor(named.model);
    const sum = { embeddings: [] as number[][], totalNs: 0, loadNs: 0, promptTokens: 0, costUsd: 0 };
    let last: Pick<Embedded, 'model' | 'route'> = { model: '' };
    const batches = batchesOf(input);
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      const target = last.route && `${last.route.provider}:${last.route.model}`;
      const reply = await this.bus.call(InferenceEmbed, { ...wanted, ...named, ...(target !== undefined && { target }), client, input: batch }, { node, signal }).catch(smaller(batch));
      if (Array.isArray(reply)) {
        batches.unshift(...reply);
        continue;
      }
      last = last.route ? last : reply;
      sum.embeddings.push(...reply.embeddings);
      sum.totalNs += reply.totalNs;
      sum.loadNs += reply.loadNs;
      sum.promptTokens += reply.promptTokens;
      sum.costUsd += reply.costUsd ?? 0;
    }
    const { promptTokens, totalNs, loadNs, costUsd } = sum;
    const { model: answered, route } = last;
    this.usage.add({ kind: 'embedding', model: answeringModel(last), provider: providerOf(last), node, ...(keyId !== undefined && { keyId }), promptTokens, answerTokens: 0, totalMs: totalNs / 1e6, loadMs: loadNs / 1e6, costUsd });
    return { ...sum, model: answered, ...(route && { route }), node, ...(choice && { choice }) };
  }
}

/** Where an answer did not fit in a message: the batch in two. @throws what else went wrong */
function smaller(batch: readonly string[]): (thrown: unknown) => string[][] {
  return (thrown) => {
    if (batch.length < 2 || MeshError.from(thrown).code !== 'payload_too_large') throw thrown;
    const half = Math.ceil(batch.length / 2);
    return [batch.slice(0, half), batch.slice(half)];
  };
}

/** At least one batch, so that asking for nothing still finds the model. */
function batchesOf(input: readonly string[]): string[][] {
  const batches: string[][] = [[]];
  let characters = 0;
  for (const text of input) {
    const batch = batches.at(-1) ?? [];
    if (batch.length > 0 && (batch.length >= BATCH_TEXTS || characters + text.length > BATCH_CHARACTERS)) {
      batches.push([text]);
      characters = text.length;
    } else {
      batch.push(text);
      characters += text.length;
    }
  }
  return batches;
}
