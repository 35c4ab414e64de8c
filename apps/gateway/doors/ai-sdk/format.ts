/** The AI SDK's UI-message stream, version 1: chunks that open, fill and close the parts of one message. */
import type { Delta, Done, Part } from '#contracts';
import type { DoorFormat } from '../door-answer.js';

interface About {
  readonly streamId: string;
  readonly model: string;
}

export function uiMessageFormat({ streamId, model }: About): DoorFormat {
  /** The part that is open; its id is its number. */
  let open: 'text' | 'reasoning' | undefined;
  let parts = 0;
  let calls = 0;
  const close = () => {
    const closed = open === undefined ? '' : chunk({ type: `${open}-end`, id: String(parts) });
    open = undefined;
    return closed;
  };
  const text = (kind: 'text' | 'reasoning', delta: string) => {
    let begun = '';
    if (open !== kind) {
      begun = close() + chunk({ type: `${kind}-start`, id: String(++parts) });
      open = kind;
    }
    return begun + chunk({ type: `${kind}-delta`, id: String(parts), delta });
  };
  const one = (part: Part): string => {
    if (part.kind === 'text') return text('text', part.text);
    if (part.kind === 'thinking') return text('reasoning', part.text);
    const called = part.calls.map(({ id = `call_${streamId}_${calls}`, name, arguments: input }) => {
      calls++;
      return chunk({ type: 'tool-input-available', toolCallId: id, toolName: name, input });
    });
    return close() + called.join('');
  };
  return {
    streamType: 'text/event-stream',
    wholeType: 'application/json; charset=utf-8',
    headers: { 'x-vercel-ai-ui-message-stream': 'v1' },
    comment: ':\n\n',
    begin: () => chunk({ type: 'start', messageId: `msg_${streamId}`, messageMetadata: { streamId, model } }) + chunk({ type: 'start-step' }),
    parts: (more) => more.map(one).join(''),
    waiting: (status) => chunk({ type: 'data-status', data: status satisfies Delta['status'], transient: true }),
    done: (done) => close() + ended(done, calls) + DONE,
    failed: (error) => close() + chunk({ type: 'error', errorText: error.message }) + DONE,
    whole: () => '', // This door only streams.
  };
}

const DONE = 'data: [DONE]\n\n';

function ended({ finishReason, counters }: Done, calls: number): string {
  if (finishReason === 'cancelled') return chunk({ type: 'abort' });
  const reason = calls > 0 ? 'tool-calls' : finishReason === 'length' ? 'length' : 'stop';
  const usage = { inputTokens: counters.prompt_eval_count ?? 0, outputTokens: counters.eval_count ?? 0 };
  return chunk({ type: 'finish-step' }) + chunk({ type: 'finish', finishReason: reason, messageMetadata: { usage } });
}

function chunk(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
