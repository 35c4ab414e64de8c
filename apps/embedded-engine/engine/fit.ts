/** Makes a prompt fit its context, as Ollama does: the oldest messages go first, system messages and the last one stay. Pure. */

export interface Message {
  readonly role: string;
  readonly content: string;
}

/** Tokens an answer has room for at least: a quarter of the context, less when fewer were asked for. */
export function roomForAnswer(contextLength: number, numPredict: number): number {
  const quarter = Math.floor(contextLength / 4);
  return numPredict > 0 ? Math.min(numPredict, quarter) : quarter;
}

/**
 * The newest part of a conversation whose prompt has at most `limit` tokens. When not even system messages plus the last message fit,
 * these are returned nevertheless: cutting inside a message is fitTokens' work.
 */
export function fitMessages<M extends Message>(messages: readonly M[], limit: number, count: (messages: readonly M[]) => number): readonly M[] {
  const last = messages.length - 1;
  for (let from = 0; from < last; from += 1) {
    const kept = messages.filter((message, index) => index >= from || message.role === 'system');
    if (count(kept) <= limit) return kept;
  }
  return messages.filter((message, index) => index === last || message.role === 'system');
}

/** The first `keep` tokens and the newest of the rest; an even cut through the context leaves room, as Ollama's runner does. */
export function fitTokens<T>(tokens: readonly T[], contextLength: number, limit: number, keep: number): readonly T[] {
  if (tokens.length <= limit) return tokens;
  const head = tokens.slice(0, Math.min(Math.max(keep, 0), Math.floor(contextLength / 4)));
  return [...head, ...tokens.slice(tokens.length - (Math.floor(contextLength / 2) - head.length))];
}
