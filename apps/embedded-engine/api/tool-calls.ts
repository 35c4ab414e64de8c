/** Finds the tool calls in a model's answer while it comes, as Ollama's parser does: after a tag, a tool's name and a JSON object. Pure. */
import type { ToolCall } from '../engine/port.js';

export interface Found {
  readonly content: string;
  readonly calls: readonly ToolCall[];
}

type State = 'looking' | 'calling' | 'done';

export class ToolCalls {
  readonly #names: readonly string[];
  #state: State = 'looking';
  #held = '';
  #found = 0;

  /**
   * @param tag what calls begin with; `{` for bare JSON, which counts only at the answer's beginning
   * @param names of the tools on offer
   */
  constructor(readonly tag: string, names: readonly string[]) {
    this.#names = names.toSorted((a, b) => b.length - a.length);
  }

  push(text: string): Found {
    if (this.#state === 'done') return { content: text, calls: [] };
    this.#held += text;
    const before = this.#state === 'looking' ? this.#look() : '';
    if (this.#state !== 'calling') return { content: before, calls: [] };
    const calls: ToolCall[] = [];
    for (let call = this.#call(); call !== undefined; call = this.#call()) calls.push(call);
    if (this.tag !== '{' || endOfObject(this.#held, 0) === undefined) return { content: before, calls };
    // A whole object that calls nothing is an answer.
    this.#state = 'done';
    return { content: before + this.#take(this.#held.length), calls };
  }

  /** What waited at the answer's end: text that looked like a call and was none. */
  flush(): string {
    const rest = this.#take(this.#held.length);
    return this.#found === 0 ? rest : '';
  }

  /** Text before the tag, as far as it can't be the tag's beginning. */
  #look(): string {
    const at = this.#held.indexOf(this.tag);
    if (at < 0) {
      const content = this.#take(this.#held.length - possibleStart(this.#held, this.tag));
      if (this.tag === '{' && content.trim() !== '') this.#state = 'done';
      return content;
    }
    const content = this.#take(at);
    this.#state = 'calling';
    if (this.tag !== '{' || content.trim() === '') return content;
    this.#state = 'done';
    return content + this.#take(this.#held.length);
  }

  #call(): ToolCall | undefined {
    const name = this.#firstName();
    if (name === undefined) return undefined;
    const object = this.#arguments(name);
    if (object === undefined) return undefined;
    this.#take(object.end);
    this.#found += 1;
    return { name, arguments: object.value };
  }

  /** The name that comes first; of two that begin alike, the longer one. */
  #firstName(): string | undefined {
    let first: { readonly name: string; readonly at: number } | undefined;
    for (const name of this.#names) {
      const at = this.#held.indexOf(name);
      if (at >= 0 && (first === undefined || at < first.at)) first = { name, at };
    }
    return first?.name;
  }

  /** The first whole object that holds the arguments: under `arguments` or `parameters`, or the object behind the name itself. */
  #arguments(name: string): { readonly value: Readonly<Record<string, unknown>>; readonly end: number } | undefined {
    const named = this.#held.indexOf(name) + name.length;
    for (let at = this.#held.indexOf('{'); at >= 0; at = this.#held.indexOf('{', at + 1)) {
      const end = endOfObject(this.#held, at);
      if (end === undefined) return undefined;
      const value = parsed(this.#held.slice(at, end));
      if (value === undefined || end <= named - name.length) continue;
      const inside = argumentsIn(value);
      if (inside !== undefined) return { value: inside, end };
      if (at >= named) return { value, end };
    }
    return undefined;
  }

  #take(length: number): string {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return text;
  }
}

type Json = Readonly<Record<string, unknown>>;

function argumentsIn(value: Json): Json | undefined {
  for (const key of ['arguments', 'parameters']) {
    const inner = value[key];
    if (isObject(inner)) return inner;
    const told = typeof inner === 'string' ? parsed(inner) : undefined;
    if (told !== undefined) return told;
  }
  for (const inner of Object.values(value)) {
    const found = isObject(inner) ? argumentsIn(inner) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Index behind the object that begins at `start` (or after it), undefined while it is not whole. Braces in texts do not count. */
function endOfObject(text: string, start: number): number | undefined {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char === '\\') at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{') depth += 1;
    else if (char === '}' && (depth -= 1) === 0) return at + 1;
  }
  return undefined;
}

/** Length of the longest end of `text` that begins `tag`. */
function possibleStart(text: string, tag: string): number {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length -= 1) if (tag.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
