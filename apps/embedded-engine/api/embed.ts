/** POST /api/embed and the older /api/embeddings. */
import { ApiError, Fields, notPulled } from '#ollama-wire';
import { unit } from '../engine/llama-embeddings.js';
import type { EmbeddedAll, Engine } from '../engine/engine.js';
import { readJson } from '../http/body.js';
import { sendJson } from '../http/reply.js';
import type { Exchange, Handler } from '../http/routes.js';
import { keepAlive } from './requests.js';

/** What is asked of a model that makes vectors. */
export interface EmbedRequest {
  readonly model: string;
  readonly texts: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly truncate: boolean;
  readonly keepMs: number | undefined;
  /** Numbers per vector; undefined: all. */
  readonly dimensions: number | undefined;
}

export interface Vectors {
  readonly vectors: readonly (readonly number[])[];
  readonly tokens: number;
  readonly loadNs: number;
}

export function embed(engine: Engine): Handler {
  return async (exchange) => {
    const began = process.hrtime.bigint();
    const fields = new Fields('EmbedRequest', await readJson(exchange.request));
    const request = { ...embedRequest(fields), texts: texts(fields.any('input')), truncate: fields.boolean('truncate') ?? true, dimensions: dimensionsOf(fields) };
    const result = await vectors(engine, exchange, request);
    const { model } = request;
    if (result === undefined) return sendJson(exchange.response, { model, embeddings: [] });
    sendJson(exchange.response, {
      model, embeddings: result.vectors.map((vector) => vector.map(shortest)), total_duration: Number(process.hrtime.bigint() - began),
      load_duration: result.loadNs, prompt_eval_count: result.tokens,
    });
  };
}

export function embeddings(engine: Engine): Handler {
  return async (exchange) => {
    const fields = new Fields('EmbeddingRequest', await readJson(exchange.request));
    const result = await vectors(engine, exchange, { ...embedRequest(fields), texts: texts(fields.string('prompt')), truncate: true, dimensions: undefined });
    sendJson(exchange.response, { embedding: result?.vectors[0] ?? [] });
  };
}

function embedRequest(fields: Fields): Pick<EmbedRequest, 'model' | 'options' | 'keepMs'> {
  return { model: fields.string('model') ?? '', options: fields.object('options', 'map[string]interface {}') ?? {}, keepMs: keepAlive(fields.any('keep_alive')) };
}

/** @returns undefined when there was nothing to embed: the model is loaded then */
export async function vectors(engine: Engine, { gone }: Exchange, request: EmbedRequest): Promise<Vectors | undefined> {
  const { texts: asked, truncate, keepMs, dimensions } = request;
  const missing = (): ApiError => notPulled(request.model);
  const model = await engine.find(request.model, missing, missing);
  const options = await engine.options(model, request.options);
  if (asked.length === 0) {
    await engine.load(model, options, keepMs, gone);
    return undefined;
  }
  const { embedded, loadNs }: EmbeddedAll = await engine.embed(model, { texts: asked, options, truncate, keepMs, gone });
  const cut = (vector: readonly number[]): readonly number[] => (dimensions === undefined ? vector : unit(vector.slice(0, dimensions)));
  return { vectors: embedded.map(({ vector }) => cut(vector)), tokens: embedded.reduce((sum, { tokens }) => sum + tokens, 0), loadNs };
}

/** One text or several; @throws ApiError 400 for anything else */
export function texts(input: unknown): readonly string[] {
  if (input === undefined || input === '') return [];
  if (typeof input === 'string') return [input];
  if (Array.isArray(input) && input.every((item) => typeof item === 'string')) return input;
  throw new ApiError(400, 'invalid input type');
}

export function dimensionsOf(fields: Fields): number | undefined {
  const dimensions = fields.number('dimensions', 'int') ?? 0;
  return dimensions > 0 ? Math.trunc(dimensions) : undefined;
}

/** The shortest decimal that is this single-precision number again: Go writes a float32 so. */
export function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
