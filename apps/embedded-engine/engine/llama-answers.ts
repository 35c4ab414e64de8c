/** One loaded model: its sequences, and the loop that turns a prompt into text token by token. */
import type { LlamaContext, LlamaModel, Token } from 'node-llama-cpp';
import { ApiError } from '#ollama-wire';
import { Gone } from '../errors.js';
import type { ModelOptions } from '../options.js';
import { Batches } from './batches.js';
import { Choosing, type Chosen } from './choosing.js';
import { fitMessages, fitTokens, roomForAnswer } from './fit.js';
import { withBeginning, type PromptWriter, type Written } from './llama-prompt.js';
import type { Native } from './native.js';
import type { ChatPrompt, Embedded, GenerationRequest, LoadedModel, Message, Outcome, Say, ScoredToken } from './port.js';
import { RepeatLimit } from './repeat-limit.js';
import { Sequence } from './sequence.js';
import { StopText } from './stop-text.js';
import { TextHold } from './text-hold.js';
import { ThinkingText } from './thinking-text.js';

/** Prompt tokens evaluated before looking whether the client is still there. */
const PROMPT_STEP = 256;

/** What makes a loaded model out of the binding's parts. */
export interface Parts {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly native: Native;
  readonly write: PromptWriter;
  /** A state that follows a GBNF grammar from its beginning, as samplers take it. */
  readonly follow: (gbnf: string) => Promise<unknown>;
}

export class LlamaAnswers implements LoadedModel {
  readonly contextLength: number;
  readonly bytes: number;
  readonly vramBytes: number;
  readonly #batches: Batches;
  readonly #free: Sequence[];
  readonly #waiting: ((sequence: Sequence) => void)[] = [];
  /** Text of tokens that stand inside a text, where it does not depend on the neighbours. */
  readonly #texts = new Map<Token, string>();
  readonly #model: LlamaModel;

  constructor(readonly parts: Parts) {
    const { model, context, native } = parts;
    this.#model = model;
    this.contextLength = context.contextSize;
    this.vramBytes = context.memoryUsage.vram + model.memoryUsage.vram;
    this.bytes = model.size + context.memoryUsage.ram + context.memoryUsage.vram;
    this.#batches = new Batches(native.context, context.batchSize);
    this.#free = Array.from({ length: context.totalSequences }, (_, id) => new Sequence(id, this.#batches, model.fileInsights.swaSize));
  }

  async generate(request: GenerationRequest, say: Say): Promise<Outcome> {
    const prompt = this.#prompt(request);
    const sequence = await this.#borrow(prompt.tokens);
    const leave = this.#batches.join();
    try {
      return await this.#answer(sequence, prompt, request, say);
    } catch (error) {
      // What a failed evaluation left in the sequence is not known; the next answer starts clean.
      if (!(error instanceof Gone)) await sequence.forget();
      throw error;
    } finally {
      leave();
      this.#giveBack(sequence);
    }
  }

  /** In llama.cpp's words, which Ollama passes on. */
  embed(): Promise<Embedded> {
    return Promise.reject(new ApiError(501, 'This server does not support embeddings. Start it with `--embeddings`'));
  }

  async dispose(): Promise<void> {
    await this.parts.context.dispose();
    await this.#model.dispose();
  }

  async #answer(sequence: Sequence, prompt: Written, request: GenerationRequest, say: Say): Promise<Outcome> {
    const { options, gone } = request;
    const { tokens } = prompt;
    const began = process.hrtime.bigint();
    const rest = await this.#evaluatePrompt(sequence, tokens, gone);
    const hold = new TextHold<Token>((held, before) => this.#text(held, before), tokens.slice(-1));
    const stop = new StopText(options.stop);
    const repeat = new RepeatLimit();
    const thinking = request.prompt.kind === 'chat' && request.prompt.think !== undefined && request.prompt.think !== false ? new ThinkingText(prompt.opensThinking) : undefined;
    const most = Math.min(options.num_predict > 0 ? options.num_predict : Number.POSITIVE_INFINITY, this.contextLength - tokens.length - 1);
    const answer: Token[] = [];
    /** Prompt and answer, for the penalties on what was said before. */
    const said = [...tokens];
    let scores: ScoredToken[] | undefined;
    let firstAt: bigint | undefined;
    let reason: Outcome['reason'] = 'length';
    const tell = (text: string): Promise<void> | undefined => {
      if (text === '') return undefined;
      const split = thinking === undefined ? { content: text, thinking: '' } : thinking.push(text);
      if (split.content === '' && split.thinking === '') return undefined;
      const piece = scores === undefined ? split : { ...split, scores };
      scores = undefined;
      return say(piece);
    };
    const choosing = await this.#choosing(request, said, () => thinking?.over ?? true);
    const choose = (index: number): Promise<Chosen> => choosing.choose(index);
    try {
      for (let next: readonly Token[] = rest; ; next = said.slice(-1)) {
        const { token: chosen, score } = await sequence.evaluate(next, choose);
        const token = chosen as Token;
        firstAt ??= process.hrtime.bigint();
        if (gone.aborted) throw new Gone();
        answer.push(token);
        said.push(token);
        if (this.#model.isEogToken(token)) {
          reason = 'stop';
          break;
        }
        const text = hold.push(token);
        if (repeat.reached(text)) {
          reason = 'repeat';
          break;
        }
        if (score !== undefined) (scores ??= []).push(score);
        const wait = tell(stop.push(text));
        if (wait !== undefined) await wait;
        if (stop.stopped) {
          reason = 'stop';
          break;
        }
        if (answer.length >= most) break;
      }
    } finally {
      choosing.dispose();
    }
    await tell(stop.push(hold.flush()) + stop.flush());
    const left = thinking?.flush() ?? { content: '', thinking: '' };
    if (left.content !== '' || left.thinking !== '') await say(left);
    const ended = process.hrtime.bigint();
    return {
      reason,
      promptTokens: tokens.length,
      promptNs: Number((firstAt ?? ended) - began),
      evalTokens: answer.length,
      evalNs: Number(ended - (firstAt ?? ended)),
      context: [...tokens, ...answer.filter((token) => !this.#model.isEogToken(token))],
    };
  }

  #text(held: readonly Token[], before: readonly Token[]): string {
    const [token] = held;
    if (token === undefined || held.length > 1 || before.length === 0) return this.#model.detokenize(held, false, before);
    let text = this.#texts.get(token);
    if (text === undefined) this.#texts.set(token, text = this.#model.detokenize(held, false, before));
    return text;
  }

  /** Evaluates all but the prompt's last part, in steps; what the sequence still knows from an earlier answer is not evaluated again. */
  async #evaluatePrompt(sequence: Sequence, tokens: readonly Token[], gone: AbortSignal): Promise<readonly Token[]> {
    // The last token is always evaluated: its result is the answer's first token.
    await sequence.keep(tokens.slice(0, -1));
    const step = Math.min(PROMPT_STEP, this.#batches.size);
    while (tokens.length - sequence.length > step) {
      if (gone.aborted) throw new Gone();
      await sequence.evaluate(tokens.slice(sequence.length, sequence.length + step));
    }
    if (gone.aborted) throw new Gone();
    return tokens.slice(sequence.length);
  }

  /** @param counts true once the grammar counts: a thought before the answer is free */
  async #choosing({ options, grammar, topLogprobs }: GenerationRequest, said: readonly Token[], counts: () => boolean): Promise<Choosing> {
    const prompt = said.slice(-1);
    return new Choosing(this.parts.native, {
      options,
      seed: options.seed >= 0 ? options.seed : Math.floor(Math.random() * 2 ** 31),
      contextLength: this.contextLength,
      grammar: grammar === undefined ? undefined : { state: await this.parts.follow(grammar), counts },
      topLogprobs,
      text: (token) => this.#model.detokenize([token as Token], false, prompt),
    }, said);
  }

  #prompt({ prompt, options, truncate }: GenerationRequest): Written {
    const limit = this.contextLength - 1 - roomForAnswer(this.contextLength, options.num_predict);
    if (prompt.kind === 'raw') {
      return { tokens: this.#cut(withBeginning(this.#model, this.#model.tokenize(prompt.text, true)), limit, options, truncate), opensThinking: false };
    }
    const before = prompt.before as readonly Token[];
    if (!before.every((token) => token >= 0 && token < (this.#model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0))) {
      throw new ApiError(400, 'context holds a token this model does not have');
    }
    const whole = this.#written(prompt, prompt.messages);
    const count = (messages: readonly Message[]): number => before.length + this.#written(prompt, messages).tokens.length;
    const kept = truncate && before.length + whole.tokens.length > limit ? this.#written(prompt, fitMessages(prompt.messages, limit, count)) : whole;
    return { ...kept, tokens: this.#cut([...before, ...kept.tokens], limit, options, truncate) };
  }

  #written(prompt: ChatPrompt, messages: readonly Message[]): Written {
    return this.parts.write({ messages, tools: prompt.tools, think: prompt.think });
  }

  #cut(tokens: Token[], limit: number, options: ModelOptions, truncate: boolean): Token[] {
    if (tokens.length === 0) throw new ApiError(400, 'the prompt is empty');
    if (!truncate && tokens.length >= this.contextLength) throw new ApiError(400, 'the input length exceeds the context length');
    return truncate ? [...fitTokens(tokens, this.contextLength, limit, options.num_keep)] : tokens;
  }

  /** The free sequence that knows most of the prompt already; waits when all are busy (fewer than asked for may have fitted in memory). */
  #borrow(tokens: readonly Token[]): Promise<Sequence> {
    const best = this.#free.toSorted((a, b) => b.shared(tokens) - a.shared(tokens))[0];
    if (best === undefined) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#free.splice(this.#free.indexOf(best), 1);
    return Promise.resolve(best);
  }

  #giveBack(sequence: Sequence): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(sequence);
    else next(sequence);
  }
}
