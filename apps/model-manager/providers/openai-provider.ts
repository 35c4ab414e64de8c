/** A server that speaks OpenAI's chat completions, as a source of the lines that an engine of the mesh would write. */
import { type EventSourceMessage, createParser } from 'eventsource-parser';
import { type EngineGeneration, MeshError } from '#contracts';
import type { InferenceLine } from '#ollama';
import { Agent, type Dispatcher, request } from 'undici';
import { z } from 'zod';

/** Characters of one event. */
const MAX_EVENT_CHARACTERS = 1024 * 1024;

const Chunk = z.object({
  choices: z.array(z.object({
    delta: z.object({ content: z.string().nullish(), reasoning: z.string().nullish(), reasoning_content: z.string().nullish() }).default({}),
    finish_reason: z.string().nullish(),
  })).default([]),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
});

export class OpenAiProvider {
  readonly #agent: Agent;

  /**
   * @param url base address, such as https://api.openai.com/v1
   * @param key sent to that server, and told to nobody else
   * @param timeoutMs to the head of an answer, and of silence inside it
   */
  constructor(readonly name: string, private readonly url: string, private readonly key: string | undefined, timeoutMs: number) {
    this.#agent = new Agent({ headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connect: { timeout: Math.min(timeoutMs, 5_000) } });
  }

  /** The lines of a chat. @throws MeshError `provider_failed`; `invalid_request` for what this provider can't be asked */
  async *chat(model: string, generation: EngineGeneration, signal: AbortSignal): AsyncGenerator<InferenceLine[]> {
    const body = JSON.stringify(chatRequest(model, generation));
    let response: Dispatcher.ResponseData | undefined;
    try {
      const headers = { 'content-type': 'application/json', accept: 'text/event-stream', ...(this.key !== undefined && { authorization: `Bearer ${this.key}` }) };
      response = await request(`${this.url}/chat/completions`, { method: 'POST', body, headers, dispatcher: this.#agent, signal });
      if (response.statusCode !== 200) throw this.#failed(`answered with status ${response.statusCode}`);
      yield* this.#lines(response.body);
    } catch (thrown) {
      if (thrown instanceof MeshError) throw thrown;
      if (signal.aborted) throw new MeshError('cancelled', `The request to provider "${this.name}" was cancelled.`);
      throw this.#failed('did not answer, or its connection broke');
    } finally {
      response?.body.on('error', () => undefined).destroy();
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async *#lines(body: AsyncIterable<Buffer>): AsyncGenerator<InferenceLine[]> {
    const arrived: EventSourceMessage[] = [];
    let tooLong = false;
    const parser = createParser({ onEvent: (event) => arrived.push(event), onError: ({ type }) => (tooLong ||= type === 'max-buffer-size-exceeded'), maxBufferSize: MAX_EVENT_CHARACTERS });
    const decoder = new TextDecoder();
    const last: { reason?: string; prompt_eval_count?: number; eval_count?: number } = {};
    for await (const bytes of body) {
      parser.feed(decoder.decode(bytes, { stream: true }));
      if (tooLong) throw this.#failed('sent an event that is too long');
      const lines: InferenceLine[] = [];
      for (const { data } of arrived.splice(0)) {
        if (data === '[DONE]') {
          const { reason, ...counters } = last;
          yield [...lines, { done: true, done_reason: reason ?? 'stop', ...counters }];
          return;
        }
        const chunk = this.#chunk(data);
        if (chunk.usage) Object.assign(last, { prompt_eval_count: chunk.usage.prompt_tokens, eval_count: chunk.usage.completion_tokens });
        const [choice] = chunk.choices;
        if (!choice) continue;
        if (choice.finish_reason) last.reason = choice.finish_reason;
        const [content, thinking] = [choice.delta.content ?? '', choice.delta.reasoning ?? choice.delta.reasoning_content ?? ''];
        if (content !== '' || thinking !== '') lines.push({ message: { content, ...(thinking !== '' && { thinking }) }, done: false });
      }
      if (lines.length > 0) yield lines;
    }
    throw this.#failed('ended its answer without finishing it');
  }

  #chunk(data: string): z.output<typeof Chunk> {
    try {
      return Chunk.parse(JSON.parse(data));
    } catch {
      throw this.#failed('sent something that is no chunk of a chat completion');
    }
  }

  /** Nothing of what the provider said: it may repeat the key. */
  #failed(what: string): MeshError {
    return new MeshError('provider_failed', `Provider "${this.name}" ${what}.`, { details: { provider: this.name } });
  }
}

/** The body of a chat completion. @throws MeshError `invalid_request` for what is beyond text, which are not translated yet */
function chatRequest(model: string, { messages, prompt, system, options = {}, tools, images, suffix, raw, format, logprobs }: EngineGeneration): Record<string, unknown> {
  const asked = messages ?? [{ role: 'user', content: prompt ?? '' }];
  const unsupported = tools !== undefined || images !== undefined || suffix !== undefined || raw === true || format !== undefined || logprobs === true || asked.some((message) => message.role === 'tool' || message.images !== undefined || message.toolCalls !== undefined);
  if (unsupported) throw new MeshError('invalid_request', 'A provider takes text only: no tools, images, format, logprobs, suffix or raw prompt.');
  const { temperature, top_p, seed, stop, num_predict } = options;
  return {
    model,
    messages: [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...asked.map(({ role, content }) => ({ role, content }))],
    stream: true,
    stream_options: { include_usage: true },
    ...Object.fromEntries(Object.entries({ temperature, top_p, seed, stop, max_tokens: num_predict }).filter(([, value]) => value !== undefined)),
  };
}
