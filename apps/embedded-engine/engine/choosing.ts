/** How one answer's next token is chosen: llama.cpp's samplers as the request's options set them, or with the model's own scores. */
import type { ModelOptions } from '../options.js';
import type { Native, NativeSampler, SamplerConfig } from './native.js';
import type { ScoredToken } from './port.js';
import { scorer, type Candidate } from './scored-tokens.js';

export interface Chosen {
  readonly token: number;
  readonly score?: ScoredToken;
}

export interface Wishes {
  readonly options: ModelOptions;
  /** The options' seed, or one drawn for a request without. */
  readonly seed: number;
  /** Tokens that penalties may look back on. */
  readonly contextLength: number;
  /** A grammar's state and when it counts: a thought before the answer is free. */
  readonly grammar: { readonly state: unknown; readonly counts: () => boolean } | undefined;
  /** Alternatives to score beside each token; undefined: no scores. */
  readonly topLogprobs: number | undefined;
  readonly text: (token: number) => string;
}

export class Choosing {
  readonly #sampler: NativeSampler;
  readonly #score: ((candidates: readonly Candidate<number>[], said: readonly number[]) => Required<Chosen>) | undefined;
  #follows = false;

  constructor(readonly native: Native, readonly wishes: Wishes, readonly said: readonly number[]) {
    this.#sampler = native.sampler();
    const { topLogprobs: top, options, seed, text } = wishes;
    this.#score = top === undefined ? undefined : scorer({ options, seed, top, text });
    this.#sampler.applyConfig(this.#score === undefined ? samplerConfig(wishes, said) : GREEDY);
  }

  /** The token after the batch's token at `index`. */
  async choose(index: number): Promise<Chosen> {
    const { grammar } = this.wishes;
    if (this.#score !== undefined) {
      const [, , , logits] = await this.native.context.sampleToken(index, this.#sampler, false, false, true);
      return this.#score(pairs(logits ?? []), this.said);
    }
    if (grammar !== undefined && !this.#follows && grammar.counts()) {
      this.#follows = true;
      this.#sampler.applyConfig({ ...samplerConfig(this.wishes, this.said), grammarEvaluationState: grammar.state });
    }
    const token = await this.native.context.sampleToken(index, this.#sampler);
    if (token < 0) throw new Error('the model gave no token');
    return { token };
  }

  dispose(): void {
    this.#sampler.dispose();
  }
}

const GREEDY: SamplerConfig = { temperature: 0, minP: 0, topK: 0, topP: 1, seed: 0 };

/** @param said prompt and answer so far; the sampler adds what it samples itself */
function samplerConfig({ options, seed, contextLength }: Wishes, said: readonly number[]): SamplerConfig {
  const penalties = options.repeat_penalty !== 1 || options.frequency_penalty !== 0 || options.presence_penalty !== 0;
  const last = options.repeat_last_n < 0 ? contextLength : options.repeat_last_n;
  return {
    temperature: Math.max(options.temperature, 0),
    topK: Math.max(options.top_k, 0),
    topP: options.top_p,
    minP: options.min_p,
    seed,
    ...(penalties && last > 0 ? {
      repeatPenalty: options.repeat_penalty,
      repeatPenaltyMaxTokens: last,
      repeatPenaltyTokens: Uint32Array.from(said.slice(-last)),
      repeatPenaltyFrequencyPenalty: options.frequency_penalty,
      repeatPenaltyPresencePenalty: options.presence_penalty,
    } : {}),
  };
}

function pairs(flat: readonly number[]): Candidate<number>[] {
  const candidates: Candidate<number>[] = [];
  for (let at = 1; at < flat.length; at += 2) candidates.push([flat[at - 1] ?? 0, flat[at] ?? 0]);
  return candidates;
}
