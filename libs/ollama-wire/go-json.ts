/** Reads a JSON body as Go's decoder does: the first value counts, what follows it is ignored, and errors have Go's wording. Pure. */

/** A body that is not JSON; the message is what Ollama answers. */
export class JsonError extends Error {}

/** The first JSON value in `text`. Throws JsonError. */
export function decodeJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const end = new Scanner(text).end();
    if (text.slice(end).trim() === '') throw new JsonError(error instanceof Error ? error.message : String(error), { cause: error });
    return JSON.parse(text.slice(0, end)) as unknown;
  }
}

const SPACE = new Set([' ', '\t', '\r', '\n']);
const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };
/** Deeper bodies are refused, as Go does, before the stack is. */
const MAX_DEPTH = 1_000;

/** Walks one value and complains where Go's scanner would. */
class Scanner {
  #at = 0;

  constructor(readonly text: string) {}

  /** Index behind the first value. */
  end(): number {
    this.#value(0);
    return this.#at;
  }

  #value(depth: number): void {
    if (depth > MAX_DEPTH) throw new JsonError('exceeded max depth');
    const first = this.#next('looking for beginning of value');
    if (first === '{') this.#object(depth);
    else if (first === '[') this.#array(depth);
    else if (first === '"') this.#string();
    else if (first === '-' || isDigit(first)) this.#number(first);
    else this.#literal(first);
  }

  #object(depth: number): void {
    let char = this.#next('looking for beginning of object key string');
    if (char === '}') return;
    for (;;) {
      this.#expect(char, '"', 'looking for beginning of object key string');
      this.#string();
      this.#expect(this.#next('after object key'), ':', 'after object key');
      this.#value(depth + 1);
      char = this.#next('after object key:value pair');
      if (char === '}') return;
      this.#expect(char, ',', 'after object key:value pair');
      char = this.#next('looking for beginning of object key string');
    }
  }

  #array(depth: number): void {
    if (this.#peek() === ']') {
      this.#next('');
      return;
    }
    for (;;) {
      this.#value(depth + 1);
      const char = this.#next('after array element');
      if (char === ']') return;
      this.#expect(char, ',', 'after array element');
    }
  }

  #string(): void {
    for (;;) {
      const char = this.#raw();
      if (char === '"') return;
      if (char < ' ') throw invalid(char, 'in string literal');
      if (char !== '\\') continue;
      const escaped = this.#raw();
      if (escaped === 'u') for (let i = 0; i < 4; i += 1) this.#hexDigit();
      else if (!'"\\/bfnrt'.includes(escaped)) throw invalid(escaped, 'in string escape code');
    }
  }

  #hexDigit(): void {
    const char = this.#raw();
    if (!/[0-9a-fA-F]/.test(char)) throw invalid(char, 'in \\u hexadecimal character escape');
  }

  #number(first: string): void {
    const start = this.#at - 1;
    while (/[0-9.eE+-]/.test(this.text[this.#at] ?? '')) this.#at += 1;
    const number = this.text.slice(start, this.#at);
    if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(number)) return;
    if (this.#at >= this.text.length) throw new JsonError('unexpected EOF');
    throw invalid(this.text[this.#at] ?? first, 'in numeric literal');
  }

  #literal(first: string): void {
    const word = Object.hasOwn(LITERALS, first) ? LITERALS[first] : undefined;
    if (word === undefined) throw invalid(first, 'looking for beginning of value');
    for (const expected of word.slice(1)) {
      const char = this.#raw();
      if (char !== expected) throw invalid(char, `in literal ${word} (expecting '${expected}')`);
    }
  }

  #expect(char: string, wanted: string, where: string): void {
    if (char !== wanted) throw invalid(char, where);
  }

  /** Next character that is not white space; `where` names the place for the error. */
  #next(where: string): string {
    while (SPACE.has(this.text[this.#at] ?? '')) this.#at += 1;
    if (this.#at >= this.text.length) throw new JsonError(where === '' || this.text.trim() === '' ? 'EOF' : 'unexpected EOF');
    return this.#raw();
  }

  #peek(): string | undefined {
    let at = this.#at;
    while (SPACE.has(this.text[at] ?? '')) at += 1;
    return this.text[at];
  }

  #raw(): string {
    const code = this.text.codePointAt(this.#at);
    if (code === undefined) throw new JsonError('unexpected EOF');
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

function invalid(char: string, where: string): JsonError {
  const shown = char === "'" ? String.raw`'\''` : char === '"' ? `'"'` : `'${JSON.stringify(char).slice(1, -1)}'`;
  return new JsonError(`invalid character ${shown} ${where}`);
}
