/** Answers of /v1/responses: typed events that open, fill and close one output item after the other, or the whole response. */
import { type Counters, type CreatedStream, type Done, MeshError, type Part, type ToolCall } from '#contracts';
import { openaiTypeOf } from '../../error-table.js';
import type { DoorFormat } from '../door-answer.js';
import { COMMENT, now } from './formats.js';
import type { Echo } from './responses-request.js';

type Fields = Readonly<Record<string, unknown>>;

export function responsesFormat(echo: Echo, { id }: CreatedStream): DoorFormat {
  const events = new ResponseEvents(echo, id);
  return {
    streamType: 'text/event-stream; charset=utf-8',
    wholeType: 'application/json; charset=utf-8',
    comment: COMMENT,
    begin: () => events.begin(),
    parts: (parts) => parts.map((part) => events.add(part)).join(''),
    done: (done) => events.done(done),
    failed: (error) => events.failed(error),
    whole: (parts, done) => {
      for (const part of parts) events.add(part);
      events.done(done);
      return JSON.stringify(events.response);
    },
  };
}

/** An item that text is still added to. */
interface Open {
  readonly kind: 'text' | 'thinking';
  readonly itemId: string;
  text: string;
}

class ResponseEvents {
  readonly #id: string;
  readonly #about: Fields;
  readonly #createdAt = now();
  readonly #output: Fields[] = [];
  #open: Open | undefined;
  #sequence = 0;
  #ended: Fields = { status: 'in_progress', usage: null, incomplete_details: null, error: null };

  constructor({ model, instructions, metadata, temperature, top_p, max_output_tokens, reasoning, text, tools, tool_choice, parallel_tool_calls, truncation }: Echo, id: string) {
    this.#id = id;
    this.#about = {
      model, instructions: instructions ?? null, metadata: metadata ?? {}, temperature: temperature ?? null, top_p: top_p ?? null,
      max_output_tokens: max_output_tokens ?? null, previous_response_id: null, store: false, background: false, truncation: truncation ?? 'auto',
      reasoning: { effort: reasoning?.effort ?? null, summary: null }, text: { format: text?.format ?? { type: 'text' } },
      tools: tools ?? [], tool_choice: tool_choice ?? 'auto', parallel_tool_calls: parallel_tool_calls ?? true,
    };
  }

  get response(): Fields {
    return { id: `resp_${this.#id}`, object: 'response', created_at: this.#createdAt, ...this.#ended, ...this.#about, output: [...this.#output] };
  }

  begin(): string {
    return this.#event('response.created', { response: this.response }) + this.#event('response.in_progress', { response: this.response });
  }

  add(part: Part): string {
    if (part.kind === 'tool') return this.#close() + part.calls.map((call) => this.#call(call)).join('');
    const opened = this.#open?.kind === part.kind ? '' : this.#close() + this.#openItem(part.kind);
    if (!this.#open) return opened;
    this.#open.text += part.text;
    const place = { item_id: this.#open.itemId, output_index: this.#output.length, content_index: 0 };
    if (part.kind === 'thinking') return opened + this.#event('response.reasoning_text.delta', { ...place, delta: part.text });
    return opened + this.#event('response.output_text.delta', { ...place, delta: part.text, logprobs: part.logprobs ?? [] });
  }

  done({ finishReason, counters }: Done): string {
    const closed = this.#close();
    const isCut = finishReason === 'length' || finishReason === 'cancelled';
    this.#ended = {
      ...this.#ended,
      status: isCut ? 'incomplete' : 'completed',
      usage: usageOf(counters),
      ...(finishReason === 'length' && { incomplete_details: { reason: 'max_output_tokens' } }),
    };
    return closed + this.#event(isCut ? 'response.incomplete' : 'response.completed', { response: this.response });
  }

  failed(error: MeshError): string {
    const closed = this.#close();
    this.#ended = { ...this.#ended, status: 'failed', error: { code: openaiTypeOf(error.code) === 'rate_limit_error' ? 'rate_limit_exceeded' : 'server_error', message: error.message } };
    return closed + this.#event('response.failed', { response: this.response });
  }

  #openItem(kind: Open['kind']): string {
    const index = this.#output.length;
    const itemId = `${kind === 'text' ? 'msg' : 'rs'}_${this.#id}_${index}`;
    this.#open = { kind, itemId, text: '' };
    const item = kind === 'text' ? messageItem(itemId, 'in_progress') : reasoningItem(itemId);
    const part = kind === 'text' ? textPart('') : { type: 'reasoning_text', text: '' };
    return (
      this.#event('response.output_item.added', { output_index: index, item }) +
      this.#event('response.content_part.added', { item_id: itemId, output_index: index, content_index: 0, part })
    );
  }

  /** No effect where nothing is open. */
  #close(): string {
    const open = this.#open;
    if (!open) return '';
    this.#open = undefined;
    const index = this.#output.length;
    const place = { item_id: open.itemId, output_index: index, content_index: 0 };
    const isText = open.kind === 'text';
    const part = isText ? textPart(open.text) : { type: 'reasoning_text', text: open.text };
    const item = isText ? messageItem(open.itemId, 'completed', part) : reasoningItem(open.itemId, part);
    this.#output.push(item);
    return (
      (isText ? this.#event('response.output_text.done', { ...place, text: open.text, logprobs: [] }) : this.#event('response.reasoning_text.done', { ...place, text: open.text })) +
      this.#event('response.content_part.done', { ...place, part }) +
      this.#event('response.output_item.done', { output_index: index, item })
    );
  }

  #call({ id, name, arguments: given }: ToolCall): string {
    const index = this.#output.length;
    const text = JSON.stringify(given);
    const itemId = `fc_${this.#id}_${index}`;
    const item = { type: 'function_call', id: itemId, call_id: id ?? `call_${this.#id}_${index}`, name, arguments: text, status: 'completed' };
    this.#output.push(item);
    const place = { item_id: itemId, output_index: index };
    return (
      this.#event('response.output_item.added', { output_index: index, item: { ...item, arguments: '', status: 'in_progress' } }) +
      this.#event('response.function_call_arguments.delta', { ...place, delta: text }) +
      this.#event('response.function_call_arguments.done', { ...place, name, arguments: text }) +
      this.#event('response.output_item.done', { output_index: index, item })
    );
  }

  #event(type: string, data: Fields): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...data })}\n\n`;
  }
}

function messageItem(id: string, status: string, ...content: readonly Fields[]): Fields {
  return { type: 'message', id, status, role: 'assistant', content };
}

function reasoningItem(id: string, ...content: readonly Fields[]): Fields {
  return { type: 'reasoning', id, summary: [], content };
}

function textPart(text: string): Fields {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function usageOf({ prompt_eval_count: input = 0, eval_count: output = 0 }: Counters): Fields {
  return {
    input_tokens: input, input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: output, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: input + output,
  };
}
