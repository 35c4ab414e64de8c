/** Translates one line of an engine's answer into what its frame says. Pure; producer.ts numbers and publishes. */
import type { Frame } from '#contracts';
import type { InferenceLine } from '#ollama';

type Unnumbered<F> = F extends Frame ? Omit<F, 'epoch' | 'seq' | 'route'> : never;
export type FrameContent = Unnumbered<Frame>;

/**
 * A line is one frame, but for lines that hold several things at once (thinking and text, or text beside the final counters):
 * those become one frame each, so that nothing is lost.
 * @param tellsContext the end carries the conversation's tokens, thousands of numbers, which only who asked for them needs
 */
export function framesOfLine(line: InferenceLine, tellsContext = false): FrameContent[] {
  const frames: FrameContent[] = [];
  const thinking = line.message?.thinking ?? line.thinking ?? '';
  const text = line.message?.content ?? line.response ?? '';
  const calls = line.message?.tool_calls ?? [];
  if (thinking !== '') frames.push({ kind: 'thinking', text: thinking });
  if (text !== '') frames.push({ kind: 'token', text, ...(line.logprobs && { logprobs: line.logprobs }) });
  if (calls.length > 0) {
    frames.push({
      kind: 'tool',
      calls: calls.map(({ id, function: { name, arguments: args } }) => ({ name, arguments: args, ...(id !== undefined && { id }) })),
    });
  }
  if (line.done) frames.push({ kind: 'done', finishReason: line.done_reason ?? 'stop', counters: countersOf(line), ...(tellsContext && line.context && { context: line.context }) });
  return frames.length > 0 ? frames : [{ kind: 'token', text: '' }];
}

function countersOf({ total_duration, load_duration, prompt_eval_count, prompt_eval_duration, eval_count, eval_duration, cost_usd }: InferenceLine) {
  return Object.fromEntries(
    Object.entries({ total_duration, load_duration, prompt_eval_count, prompt_eval_duration, eval_count, eval_duration, cost_usd }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}
