/** What the built-in model answers word for word at temperature 0, and a request that keeps it busy for long. */
import { readFileSync } from 'node:fs';
import { ROOT } from './program.js';

const questions = JSON.parse(readFileSync(`${ROOT}apps/embedded-engine/models/questions.json`, 'utf8')) as { question: string; answer: string }[];

export function answerTo(question: string): string {
  const found = questions.find((known) => known.question === question);
  if (!found) throw new Error(`questions.json has no "${question}"`);
  return found.answer;
}

/** Nearly any token is as likely as the end, so that it rambles until its context is full: about 1,000 tokens. */
export const RAMBLE = { temperature: 100, top_k: 0, top_p: 1, min_p: 0, repeat_penalty: 1, seed: 7 };
