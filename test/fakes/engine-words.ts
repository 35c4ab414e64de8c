/** The lines an engine says, for fakes: a chat of some words, and its end. */

/** A line of /api/chat that brings `content`. */
export function word(content: string): object {
  return { model: 'tiny:latest', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content }, done: false };
}

export const COUNTERS = { total_duration: 1_234_567, load_duration: 1, prompt_eval_count: 5, prompt_eval_duration: 2, eval_count: 3, eval_duration: 4 };

export const LAST_LINE = { model: 'tiny:latest', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', ...COUNTERS };
