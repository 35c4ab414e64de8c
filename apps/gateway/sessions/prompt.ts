/** What of a session a model is asked with: its settings, and as much of the newest history as its context holds. Pure. */
import { type Counters, type CreateStream, MeshError, type SessionMessage, type SessionRecord } from '#contracts';

/** How many tokens a turn may take, as far as somebody has said. */
export interface TokenBounds {
  /** The model's context, in tokens; undefined where it isn't known, so that the engine judges. */
  readonly contextLength?: number | undefined;
  /** Of the answer at most, where no option of the session says so. */
  readonly numPredict?: number | undefined;
}

export interface SessionPrompt {
  readonly request: CreateStream;
  /** What its messages count for, to learn from the engine's counters how many of these are a token. */
  readonly bytes: number;
  /** Messages of the history that it is without. */
  readonly leftOut: number;
}

type Said = Pick<SessionMessage, 'role' | 'content'>;

/**
 * Of UTF-8, while nothing has been measured: "1 token ~= 4 chars in English", says OpenAI's article "What are tokens and how to
 * count them?" (help.openai.com/en/articles/4936856). No measurement is believed that is more hopeful: an engine that has cut
 * a prompt, or knew its beginning already, may count too few tokens.
 */
const BYTES_PER_TOKEN = 4;
/** A byte is a token at worst. */
const MIN_BYTES_PER_TOKEN = 1;
/** For the next text, which may be denser than the last one. */
const CAUTION = 0.9;
/** What a chat template puts around each message: roles and marks, about four tokens. */
const BYTES_AROUND_MESSAGE = 16;
/** An answer shorter than this, in tokens, says little about how long a token is. */
const MEASURABLE = 16;
/** Of the context, kept free for an answer whose length nobody has bounded; and for any at most. */
const ANSWER_SHARE = 0.25;
const MAX_ANSWER_SHARE = 0.5;

/**
 * The prompt that continues the session by `content`. The oldest questions go, each with its answer, until an estimate fits into
 * the context beside the answer; the system prompt and `content` always stay.
 * @throws MeshError `invalid_request` when these two alone do not fit
 */
export function promptOf(record: SessionRecord, content: string, { contextLength, numPredict }: TokenBounds): SessionPrompt {
  const { system, history, model, options, think, format, keepAlive, whenUnwatched, bytesPerToken } = record;
  const always = [...(system === undefined ? [] : [{ role: 'system' as const, content: system }]), { role: 'user' as const, content }];
  const said = history.filter((message) => message.content !== '').map(({ role, content: text }): Said => ({ role, content: text }));
  const maxTokens = contextLength === undefined ? Number.POSITIVE_INFINITY : contextLength - roomForAnswer(contextLength, options?.num_predict ?? numPredict);
  const needed = tokensIn(bytesOf(always), bytesPerToken);
  if (needed > maxTokens) {
    const reason = `takes about ${needed} tokens with the system prompt; ${maxTokens} fit into the context of ${contextLength} beside the answer`;
    throw new MeshError('invalid_request', `Invalid request: content: ${reason}.`, { details: { issues: [{ field: 'content', reason }], tokens: needed, maxTokens, contextLength } });
  }
  const kept = said.slice(firstKept(said, (bytes) => tokensIn(bytesOf(always) + bytes, bytesPerToken) <= maxTokens));
  return {
    request: {
      messages: [...always.slice(0, -1), ...kept, ...always.slice(-1)],
      whenUnwatched,
      ...(model !== undefined && { model }),
      ...(options !== undefined && { options }),
      ...(think !== undefined && { think }),
      ...(format !== undefined && { format }),
      ...(keepAlive !== undefined && { keepAlive }),
    },
    bytes: bytesOf(always) + bytesOf(kept),
    leftOut: said.length - kept.length,
  };
}

/** How many tokens `bytes` of messages are, at a measured or else the usual length of a token. */
export function tokensIn(bytes: number, bytesPerToken = BYTES_PER_TOKEN): number {
  return Math.ceil(bytes / bytesPerToken);
}

/** What messages count for, with what a template puts around them. */
export function bytesOf(messages: readonly { readonly content: string }[]): number {
  return messages.reduce((sum, { content }) => sum + Buffer.byteLength(content) + BYTES_AROUND_MESSAGE, 0);
}

/**
 * How long a token of this session is, by what the engine counted of a turn: the shorter of those of the prompt and of the answer.
 * @param answer all that the model wrote, thoughts included
 * @returns undefined when nothing was counted
 */
export function measuredBytesPerToken(promptBytes: number, answer: string, { prompt_eval_count: asked = 0, eval_count: written = 0 }: Counters): number | undefined {
  const lengths = [...(asked > 0 ? [promptBytes / asked] : []), ...(written >= MEASURABLE ? [Buffer.byteLength(answer) / written] : [])];
  if (lengths.length === 0) return undefined;
  return Math.min(BYTES_PER_TOKEN, Math.max(MIN_BYTES_PER_TOKEN, Math.min(...lengths) * CAUTION));
}

function roomForAnswer(contextLength: number, numPredict = 0): number {
  const most = Math.floor(contextLength * MAX_ANSWER_SHARE);
  return numPredict > 0 ? Math.min(numPredict, most) : Math.ceil(contextLength * ANSWER_SHARE);
}

/** Where the longest end of `said` begins that starts with a question and fits. */
function firstKept(said: readonly Said[], fits: (bytes: number) => boolean): number {
  let first = said.length;
  let bytes = 0;
  for (let index = said.length - 1; index >= 0; index--) {
    const message = said[index] as Said;
    bytes += bytesOf([message]);
    if (!fits(bytes)) break;
    if (message.role === 'user') first = index;
  }
  return first;
}
