/** Makes a prompt fit its context, as Ollama does: the oldest messages go first, system messages and the last one stay. Pure. */
import type { Message } from './port.js';

/** Tokens an answer has room for at least: a quarter of the context, less when fewer were asked for. */
export function roomForAnswer(contextLength: number, numPredict: number): number {
  const quarter = Math.floor(contextLength / 4);
  return numPredict > 0 ? Math.min(numPredict, quarter) : quarter;
}

/**
 * The newest part of a conversation whose prompt has at most `limit` tokens, found in a few counts because counting renders the whole
 * prompt. When not even system messages plus the last message fit, these are returned nevertheless: cutting inside a message is
 * fitTokens' work.
 */
export function fitMessages<M extends Message>(messages: readonly M[], limit: number, count: (messages: readonly M[]) => number): readonly M[] {
  const last = messages.length - 1;
  const from = (start: number): readonly M[] => messages.filter((message, index) => index >= start || message.role === 'system');
  let tooMany = -1;
  let fits = last;
  while (fits - tooMany > 1) {
    const middle = Math.floor((tooMany + fits) / 2);
    if (count(from(middle)) <= limit) fits = middle;
    else tooMany = middle;
  }
  return from(fits);
}

/** The first `keep` tokens and the newest of the rest; an even cut through the context leaves room, as Ollama's runner does. */
export function fitTokens<T>(tokens: readonly T[], contextLength: number, limit: number, keep: number): readonly T[] {
  if (tokens.length <= limit) return tokens;
  const head = tokens.slice(0, Math.min(Math.max(keep, 0), Math.floor(contextLength / 4)));
  return [...head, ...tokens.slice(tokens.length - (Math.floor(contextLength / 2) - head.length))];
}
