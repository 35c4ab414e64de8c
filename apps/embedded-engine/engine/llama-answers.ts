/** One loaded model: its sequences, and the loop that turns a prompt into text token by token. */
import type { LlamaContext, LlamaContextSequence, LlamaModel, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import { ApiError, Gone } from '../errors.js';
import type { ModelOptions } from '../options.js';
import { fitMessages, fitTokens, roomForAnswer } from './fit.js';
import { withBeginning, type PromptWriter } from './llama-prompt.js';
import type { GenerationRequest, LoadedModel, Outcome } from './port.js';
import { StopText } from './stop-text.js';
import { TextHold } from './text-hold.js';

/** Prompt tokens evaluated before looking whether the client is still there. */
const PROMPT_STEP = 256;

export class LlamaAnswers implements LoadedModel {
  readonly contextLength: number;
  readonly bytes: number;
  readonly vramBytes: number;
  readonly #free: LlamaContextSequence[];
  readonly #waiting: ((sequence: LlamaContextSequence) => void)[] = [];

  constructor(readonly model: LlamaModel, readonly context: LlamaContext, readonly write: PromptWriter) {
    this.contextLength = context.contextSize;
    this.vramBytes = context.memoryUsage.vram + model.memoryUsage.vram;
    this.bytes = model.size + context.memoryUsage.ram + context.memoryUsage.vram;
    this.#free = Array.from({ length: context.totalSequences }, () => context.getSequence());
  }

  async *generate(request: GenerationRequest): AsyncGenerator<string, Outcome, void> {
    const tokens = this.#prompt(request);
    const sequence = await this.#borrow(tokens);
    try {
      return yield* this.#answer(sequence, tokens, request);
    } catch (error) {
      // What a failed evaluation left in the sequence is not known; the next answer starts clean.
      if (!(error instanceof Gone) && !sequence.disposed) await sequence.clearHistory();
      throw error;
    } finally {
      this.#giveBack(sequence);
    }
  }

  async dispose(): Promise<void> {
    await this.context.dispose();
    await this.model.dispose();
  }

  async *#answer(sequence: LlamaContextSequence, tokens: readonly Token[], { options, gone }: GenerationRequest): AsyncGenerator<string, Outcome, void> {
    const began = process.hrtime.bigint();
    const rest = await this.#evaluatePrompt(sequence, tokens, gone);
    const hold = new TextHold<Token>((held, before) => this.model.detokenize(held, false, before));
    const stop = new StopText(options.stop);
    const most = Math.min(options.num_predict > 0 ? options.num_predict : Number.POSITIVE_INFINITY, this.contextLength - tokens.length - 1);
    const answer: Token[] = [];
    let firstAt: bigint | undefined;
    let reason: Outcome['reason'] = 'length';
    for await (const token of sequence.evaluate(rest, { ...this.#sampling(options, sequence), yieldEogToken: true })) {
      firstAt ??= process.hrtime.bigint();
      if (gone.aborted) throw new Gone();
      answer.push(token);
      if (this.model.isEogToken(token)) {
        reason = 'stop';
        break;
      }
      const text = stop.push(hold.push(token));
      if (text !== '') yield text;
      if (stop.stopped) {
        reason = 'stop';
        break;
      }
      if (answer.length >= most) break;
    }
    const tail = stop.push(hold.flush()) + stop.flush();
    if (tail !== '') yield tail;
    const ended = process.hrtime.bigint();
    return {
      reason,
      promptTokens: tokens.length,
      promptNs: Number((firstAt ?? ended) - began),
      evalTokens: answer.length,
      evalNs: Number(ended - (firstAt ?? ended)),
      context: [...tokens, ...answer.filter((token) => !this.model.isEogToken(token))],
    };
  }

  /** Evaluates all but the prompt's last part, in steps; what the sequence still knows from an earlier answer is not evaluated again. */
  async #evaluatePrompt(sequence: LlamaContextSequence, tokens: readonly Token[], gone: AbortSignal): Promise<Token[]> {
    // The last token is always evaluated: its result is the answer's first token.
    await sequence.adaptStateToTokens(tokens.slice(0, -1), false);
    let at = sequence.nextTokenIndex;
    while (tokens.length - at > PROMPT_STEP) {
      if (gone.aborted) throw new Gone();
      await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + PROMPT_STEP));
      at += PROMPT_STEP;
    }
    if (gone.aborted) throw new Gone();
    return tokens.slice(at);
  }

  #sampling(options: ModelOptions, sequence: LlamaContextSequence): SequenceEvaluateOptions {
    const penalties = options.repeat_penalty !== 1 || options.frequency_penalty !== 0 || options.presence_penalty !== 0;
    const last = options.repeat_last_n < 0 ? this.contextLength : options.repeat_last_n;
    return {
      temperature: Math.max(options.temperature, 0),
      topK: options.top_k <= 0 ? 0 : options.top_k,
      topP: options.top_p,
      minP: options.min_p,
      seed: options.seed >= 0 ? options.seed : Math.floor(Math.random() * 2 ** 31),
      ...(penalties && last > 0 ? {
        repeatPenalty: {
          punishTokens: () => sequence.contextTokens.slice(-last),
          maxPunishTokens: last,
          penalty: options.repeat_penalty,
          frequencyPenalty: options.frequency_penalty,
          presencePenalty: options.presence_penalty,
        },
      } : {}),
    };
  }

  #prompt({ prompt, options, truncate }: GenerationRequest): readonly Token[] {
    const limit = this.contextLength - 1 - roomForAnswer(this.contextLength, options.num_predict);
    if (prompt.kind === 'raw') return this.#cut(withBeginning(this.model, this.model.tokenize(prompt.text, true)), limit, options, truncate);
    const before = prompt.before as readonly Token[];
    if (!before.every((token) => token >= 0 && token < (this.model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0))) {
      throw new ApiError(400, 'context holds a token this model does not have');
    }
    const count = (messages: GenerationMessages): number => before.length + this.write(messages).length;
    const kept = truncate && count(prompt.messages) > limit ? fitMessages(prompt.messages, limit, count) : prompt.messages;
    return this.#cut([...before, ...this.write(kept)], limit, options, truncate);
  }

  #cut(tokens: readonly Token[], limit: number, options: ModelOptions, truncate: boolean): readonly Token[] {
    if (tokens.length === 0) throw new ApiError(400, 'the prompt is empty');
    if (!truncate && tokens.length >= this.contextLength) throw new ApiError(400, 'the input length exceeds the context length');
    return truncate ? fitTokens(tokens, this.contextLength, limit, options.num_keep) : tokens;
  }

  /** The free sequence that knows most of the prompt already; waits when all are busy (fewer than asked for may have fitted in memory). */
  #borrow(tokens: readonly Token[]): Promise<LlamaContextSequence> {
    const known = (sequence: LlamaContextSequence): number => sequence.compareContextTokens([...tokens]).firstDifferentIndex;
    const best = this.#free.toSorted((a, b) => known(b) - known(a))[0];
    if (best === undefined) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#free.splice(this.#free.indexOf(best), 1);
    return Promise.resolve(best);
  }

  #giveBack(sequence: LlamaContextSequence): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(sequence);
    else next(sequence);
  }
}

type GenerationMessages = Parameters<PromptWriter>[0];
