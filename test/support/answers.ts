/** What the built-in model answers word for word at temperature 0, and a request that keeps it busy for long. */
import { readFileSync } from 'node:fs';
import { ROOT } from './program.js';

const questions = JSON.parse(readFileSync(`${ROOT}apps/embedded-engine/models/questions.json`, 'utf8')) as { question: string; answer: string }[];

export function answerTo(question: string): string {
  const found = questions.find((known) => known.question === question);
  if (!found) throw new Error(`questions.json has no "${question}"`);
  return found.answer;
}

/** Seeds with which the model does not happen upon the end before its context is full, where nothing keeps it from that. */
const LONG_SEEDS = [8, 11, 14, 15, 17, 18, 21, 22, 23, 24, 25, 26, 28, 30, 31, 33, 34, 35, 36];

/** An answer that can't end before its context is full, in steps of which each looks at the whole vocabulary. */
const LONG = { type: 'array', minItems: 2_000, items: { type: 'string', maxLength: 3 } };

/** A request that keeps the model busy for a second or more: about 1,000 tokens, nearly any of them as likely as any other. */
export function ramble(number = 0): { prompt: string; options: Record<string, number>; format: Record<string, unknown> } {
  return { prompt: 'Tell me a short story.', options: { temperature: 100, top_k: 0, top_p: 1, seed: LONG_SEEDS[number % LONG_SEEDS.length] ?? 8 }, format: LONG };
}
