/** Splits an answer into what the model thought and what it says, by the tags around the thought, as Ollama's parser does. Pure. */

export interface Split {
  readonly thinking: string;
  readonly content: string;
}

export const OPENING = '<think>';
const CLOSING = '</think>';

type State = 'before' | 'opened' | 'thinking' | 'closed' | 'content';

export class ThinkingText {
  #state: State;
  #held = '';

  /** @param opened the prompt ended with the opening tag, so the answer begins inside the thought */
  constructor(opened: boolean) {
    this.#state = opened ? 'opened' : 'before';
  }

  /** True once the thought, if there was one, is over. */
  get over(): boolean {
    return this.#state === 'closed' || this.#state === 'content';
  }

  push(text: string): Split {
    if (this.#state === 'content') return { thinking: '', content: text };
    this.#held += text;
    let thinking = '';
    let content = '';
    for (let state: State | undefined; state !== this.#state;) {
      state = this.#state;
      const step = this.#step();
      thinking += step.thinking;
      content += step.content;
    }
    return { thinking, content };
  }

  /** What waited at the end of the answer. */
  flush(): Split {
    const rest = this.#held;
    this.#held = '';
    return this.#state === 'thinking' ? { thinking: rest.trimEnd(), content: '' } : { thinking: '', content: this.#state === 'before' ? rest : '' };
  }

  #step(): Split {
    switch (this.#state) {
      case 'before': return this.#lookForOpening();
      case 'opened': return this.#eatBlanks('thinking');
      case 'thinking': return this.#lookForClosing();
      case 'closed': return this.#eatBlanks('content');
      case 'content': return { thinking: '', content: this.#take(this.#held.length) };
    }
  }

  #lookForOpening(): Split {
    const trimmed = this.#held.trimStart();
    if (trimmed.startsWith(OPENING)) {
      this.#held = trimmed.slice(OPENING.length);
      this.#state = 'opened';
    } else if (trimmed !== '' && !OPENING.startsWith(trimmed)) this.#state = 'content';
    return { thinking: '', content: '' };
  }

  #eatBlanks(next: State): Split {
    this.#held = this.#held.trimStart();
    if (this.#held !== '') this.#state = next;
    return { thinking: '', content: '' };
  }

  /** Blanks before the closing tag are no part of the thought, so they wait with what may be its beginning. */
  #lookForClosing(): Split {
    const at = this.#held.indexOf(CLOSING);
    if (at >= 0) {
      const thinking = this.#take(at).trimEnd();
      this.#take(CLOSING.length);
      this.#state = 'closed';
      return { thinking, content: '' };
    }
    let safe = this.#held.length;
    for (let length = Math.min(CLOSING.length - 1, safe); length > 0; length -= 1) {
      if (CLOSING.startsWith(this.#held.slice(safe - length))) {
        safe -= length;
        break;
      }
    }
    return { thinking: this.#take(this.#held.slice(0, safe).trimEnd().length), content: '' };
  }

  #take(length: number): string {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return text;
  }
}
