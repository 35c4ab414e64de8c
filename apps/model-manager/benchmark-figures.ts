/** What an engine's counters say about its speed. Pure; benchmarks.ts asks the engine. */
import type { Benchmark, Counters, Spread } from '#contracts';

export type Figures = Pick<Benchmark, 'runs' | 'firstTokenMs' | 'promptTokensPerSecond' | 'tokensPerSecond'>;

/** Prompts of different kinds and lengths; each ends differently, so that no engine answers from what it remembers of another's beginning. */
export const PROMPTS: readonly string[] = [
  'What is NATS?',
  'Explain in three sentences how a hash table finds a value by its key, and when that is slow.',
  `Summarise this text in one paragraph.\n\n${'A message bus carries messages between programs that do not know each other. A publisher names a subject, and whoever has subscribed to it gets the message. '.repeat(8)}`,
];
/** Tokens of each answer: enough for a steady speed. */
export const ANSWER_TOKENS = 64;

/**
 * Sums up the runs of a model that was in memory.
 * @returns undefined where the engine's counters don't tell
 */
export function figuresOf(runs: readonly Counters[]): Figures | undefined {
  const told = runs.flatMap((run) => {
    const { prompt_eval_count: promptTokens, prompt_eval_duration: promptNs, eval_count: tokens, eval_duration: ns } = run;
    if (!promptTokens || !promptNs || !tokens || !ns) return [];
    return [{ promptRate: promptTokens / (promptNs / 1e9), rate: tokens / (ns / 1e9), firstMs: (promptNs + ns / tokens) / 1e6 }];
  });
  if (told.length === 0) return undefined;
  return {
    runs: told.length,
    firstTokenMs: spreadOf(told.map(({ firstMs }) => firstMs)),
    promptTokensPerSecond: spreadOf(told.map(({ promptRate }) => promptRate)),
    tokensPerSecond: spreadOf(told.map(({ rate }) => rate)),
  };
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { median: median ?? 0, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}
