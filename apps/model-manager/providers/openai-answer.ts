/** The chunks of a chat completion as the lines that an engine of the mesh would write. No I/O. */
import { Logprobs } from '#contracts';
import type { InferenceLine } from '#ollama';
import { z } from 'zod';

/** What calls that are not whole yet may take, in characters. */
const MAX_CALL_CHARACTERS = 1024 * 1024;
const MAX_CALLS = 128;

const CallPiece = z.object({ index: z.int().nonnegative().nullish(), id: z.string().nullish(), function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish() });
const Delta = z.object({ content: z.string().nullish(), reasoning: z.string().nullish(), reasoning_content: z.string().nullish(), tool_calls: z.array(CallPiece).nullish() });
/** Servers that say the same API differ in what they leave out, or say as null; and what is beside the answer may be of any shape. */
const Chunk = z.object({
  choices: z
    .array(z.object({ delta: Delta.nullish(), finish_reason: z.string().nullish(), logprobs: z.object({ content: Logprobs.nullish() }).nullish().catch(undefined) }))
    .nullish(),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number().default(0) }).nullish().catch(undefined),
  error: z.unknown().optional(),
});

/** Tokens that an answer took, as its provider says. */
export interface Tokens {
  readonly prompt: number;
  readonly answer: number;
}

/** What is wrong with an answer, in words of ours that follow the provider's name and repeat nothing. */
export class WrongAnswer extends Error {}

interface Call {
  readonly index: number;
  id: string | undefined;
  name: string;
  arguments: string;
}

export class OpenAiAnswer {
  #calls: Call[] = [];
  #callCharacters = 0;
  #finished: string | undefined;
  /** None until it has told them. */
  tokens: Tokens | undefined;

  /** Why it ended, in Ollama's words; undefined before. */
  get reason(): string | undefined {
    return this.#finished === 'tool_calls' || this.#finished === 'function_call' ? 'stop' : this.#finished;
  }

  /**
   * Takes the data of one event.
   * @throws WrongAnswer
   */
  take(data: string): InferenceLine[] {
    const { choices, usage, error } = chunkOf(data);
    if (error !== undefined && error !== null) throw new WrongAnswer('reported an error inside its answer');
    if (usage) this.tokens = { prompt: usage.prompt_tokens, answer: usage.completion_tokens };
    const [choice] = choices ?? [];
    if (!choice) return [];
    const { finish_reason: finished, logprobs } = choice;
    const delta = choice.delta ?? {};
    const [content, thinking] = [delta.content ?? '', delta.reasoning ?? delta.reasoning_content ?? ''];
    for (const call of delta.tool_calls ?? []) this.#call(call);
    const scores = logprobs?.content ?? [];
    const lines: InferenceLine[] = [];
    if (content !== '' || thinking !== '' || scores.length > 0) {
      lines.push({ message: { content, ...(thinking !== '' && { thinking }) }, done: false, ...(scores.length > 0 && { logprobs: scores }) });
    }
    if (finished) {
      this.#finished = finished;
      lines.push(...this.calls());
    }
    return lines;
  }

  /** The calls that are whole now, as one line, once. @throws WrongAnswer for arguments that are no JSON object */
  calls(): InferenceLine[] {
    const calls = this.#calls;
    this.#calls = [];
    this.#callCharacters = 0;
    if (calls.length === 0) return [];
    const whole = calls.map(({ id, name, arguments: given }) => ({ ...(id !== undefined && { id }), function: { name, arguments: argumentsOf(given) } }));
    return [{ message: { content: '', tool_calls: whole }, done: false }];
  }

  /** A call comes in pieces: its name first, its arguments bit by bit. */
  #call({ index: told, id, function: said }: z.output<typeof CallPiece>): void {
    const index = told ?? undefined;
    // Some number the calls of each chunk anew, and some not at all: another id, or where none is told another name, is another call.
    const last = this.#calls.findLast((call) => index === undefined || call.index === index);
    const isOther = last && (id && last.id !== undefined ? id !== last.id : index === undefined && Boolean(said?.name));
    const call = last && !isOther ? last : { index: index ?? this.#calls.length, id: undefined, name: '', arguments: '' };
    if (call !== last) this.#calls.push(call);
    call.id ??= id ?? undefined;
    call.name += said?.name ?? '';
    call.arguments += said?.arguments ?? '';
    this.#callCharacters += (said?.name?.length ?? 0) + (said?.arguments?.length ?? 0);
    if (this.#callCharacters > MAX_CALL_CHARACTERS || this.#calls.length > MAX_CALLS) throw new WrongAnswer('sent a tool call that is too long');
  }
}

function chunkOf(data: string): z.output<typeof Chunk> {
  try {
    return Chunk.parse(JSON.parse(data));
  } catch {
    throw new WrongAnswer('sent something that is no chunk of a chat completion');
  }
}

function argumentsOf(text: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text === '' ? '{}' : text));
  } catch {
    throw new WrongAnswer('sent a tool call whose arguments are no JSON object');
  }
}
