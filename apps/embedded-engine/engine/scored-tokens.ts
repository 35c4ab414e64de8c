/**
 * Tokens with the probabilities the model itself gives them (`logprobs`). The binding tells these only before temperature and the
 * like, so the choice is made here, by the same rules as llama.cpp's samplers in the same order: penalties, top_k, top_p, min_p,
 * temperature, a draw by the seed.
 */
import type { ModelOptions } from '../options.js';
import type { ScoredToken, TokenScore } from './port.js';

export interface Scoring {
  readonly options: ModelOptions;
  readonly seed: number;
  /** Alternatives to tell beside each token. */
  readonly top: number;
  readonly text: (token: number) => string;
}

/** A token and its logit. */
export type Candidate<T> = readonly [token: T, logit: number];

/** @returns chooses one of the candidates (the likeliest first), `said` being prompt and answer so far */
export function scorer({ options, seed, top, text }: Scoring): (candidates: readonly Candidate<number>[], said: readonly number[]) => { readonly token: number; readonly score: ScoredToken } {
  const draw = randomFrom(seed);
  return (candidates, said) => {
    const first = candidates[0];
    if (first === undefined) throw new Error('the model gave no logits');
    const total = candidates.reduce((sum, [, logit]) => sum + Math.exp(logit - first[1]), 0);
    const score = ([token, logit]: Candidate<number>): TokenScore => ({ token: text(token), logprob: Math.fround(logit - first[1] - Math.log(total)) });
    const token = choose(penalised(candidates, said, options), options, draw());
    const raw = candidates.find(([candidate]) => candidate === token) ?? first;
    return { token, score: { ...score(raw), top: candidates.slice(0, top).map(score) } };
  };
}

/** Candidates with what was said lately made less likely, the likeliest first. */
export function penalised<T>(candidates: readonly Candidate<T>[], said: readonly T[], options: ModelOptions): readonly Candidate<T>[] {
  const { repeat_penalty: repeat, frequency_penalty: frequency, presence_penalty: presence, repeat_last_n: window } = options;
  if (window === 0 || (repeat === 1 && frequency === 0 && presence === 0)) return candidates;
  const counts = new Map<T, number>();
  for (const token of window < 0 ? said : said.slice(-window)) counts.set(token, (counts.get(token) ?? 0) + 1);
  return candidates.map(([token, logit]): Candidate<T> => {
    const count = counts.get(token);
    if (count === undefined) return [token, logit];
    return [token, (logit > 0 ? logit / repeat : logit * repeat) - count * frequency - presence];
  }).toSorted(([, a], [, b]) => b - a);
}

/** @param draw from 0 to less than 1 */
export function choose<T>(candidates: readonly Candidate<T>[], options: ModelOptions, draw: number): T {
  const [best] = candidates;
  if (best === undefined) throw new Error('nothing to choose from');
  if (options.temperature <= 0) return best[0];
  let kept = weighed(options.top_k > 0 ? candidates.slice(0, options.top_k) : candidates, 1);
  if (options.top_p < 1) {
    let sum = 0;
    const enough = kept.findIndex(({ weight }) => (sum += weight) >= options.top_p);
    if (enough >= 0) kept = kept.slice(0, enough + 1);
  }
  const least = options.min_p * (kept[0]?.weight ?? 0);
  const heated = weighed(kept.filter(({ weight }) => weight >= least).map(({ candidate }) => candidate), options.temperature);
  let left = draw;
  for (const { candidate, weight } of heated) {
    left -= weight;
    if (left < 0) return candidate[0];
  }
  return heated.at(-1)?.candidate[0] ?? best[0];
}

function weighed<T>(candidates: readonly Candidate<T>[], temperature: number): { readonly candidate: Candidate<T>; readonly weight: number }[] {
  const most = candidates[0]?.[1] ?? 0;
  const weights = candidates.map(([, logit]) => Math.exp((logit - most) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return candidates.map((candidate, index) => ({ candidate, weight: (weights[index] ?? 0) / total }));
}

/** Numbers from 0 to less than 1, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6D_2B_79_F5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
