/** Shows one stream's answer as it grows: thinking, text, tools, what it waits for, and how it ended. Drawn once a frame at most. */
import type { AnswerEnd, ErrorBody, Part, StreamStatus } from '#client';
import { announce, make } from './dom.js';
import { tokens } from './format.js';
import { MarkdownView } from './markdown.js';
import { type ShownAnswer, hasEnded } from './shown-answer.js';

const LONG_DRAW_MS = 10;

interface PartView {
  readonly kind: Part['kind'];
  readonly element: HTMLElement;
  /** `growing`: more of it is expected. `ended`: nothing of the whole answer is. */
  show(part: Part, growing: boolean, ended: boolean): void;
}

export class AnswerView {
  readonly #parts = make('div', { class: 'parts' });
  readonly #waiting = make('p', { class: 'waiting', hidden: true });
  readonly #problem = make('div', { class: 'problem', role: 'alert', hidden: true });
  readonly #facts = make('span', { class: 'facts' });
  /** What may be done with the answer: buttons that the owner of this view adds. */
  readonly actions = make('div', { class: 'actions' });
  readonly element = make('article', { class: 'answer is-live', 'aria-label': 'Answer' }, this.#parts, this.#waiting, this.#problem);
  readonly #shown: PartView[] = [];
  /** The parts as last drawn: one that is the same object has not changed. */
  #drawn: readonly Part[] = [];
  #drawnLive: number | undefined;
  #answer: ShownAnswer | undefined;
  #drawnEnding: AnswerEnd | ErrorBody | undefined;
  #scheduled = false;
  #drawMs = 0;
  readonly #remedies: (error: ErrorBody) => Node[];

  /** @param remedies the buttons to show beside an error */
  constructor(remedies: (error: ErrorBody) => Node[] = () => []) {
    this.#remedies = remedies;
    this.element.append(make('footer', { class: 'answer-foot' }, this.actions, this.#facts));
  }

  /** @param answer as it is when it is drawn */
  update(answer: ShownAnswer): void {
    this.#answer = answer;
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A block that is long in itself takes long to draw: it is drawn less often then, so that the page stays at hand.
    setTimeout(() => requestAnimationFrame(() => this.#drawNow()), this.#drawMs > LONG_DRAW_MS ? this.#drawMs * 4 : 0);
  }

  #drawNow(): void {
    const began = performance.now();
    this.#scheduled = false;
    this.#draw();
    this.#drawMs = performance.now() - began;
  }

  #draw(): void {
    if (!this.#answer) return;
    const { parts, end, error, status } = this.#answer;
    const ended = hasEnded(this.#answer);
    this.#drawParts(parts, ended);
    this.element.classList.toggle('is-live', !ended);
    this.element.setAttribute('aria-busy', String(!ended));
    this.#drawWaiting(parts, status, ended);
    this.#problem.hidden = error === undefined;
    if (error && this.#drawnEnding !== error) this.#drawError(error);
    else if (end && this.#drawnEnding !== end) this.#drawEnd(end);
    this.#drawnEnding = error ?? end;
  }

  #drawParts(parts: readonly Part[], ended: boolean): void {
    for (const [index, part] of parts.entries()) {
      const shown = this.#shown[index];
      const isLast = index === parts.length - 1;
      if (shown?.kind === part.kind) {
        if (part === this.#drawn[index] && index !== this.#drawnLive && !isLast) continue;
        shown.show(part, isLast && !ended, ended);
        continue;
      }
      const made = viewOf(part.kind);
      made.show(part, isLast && !ended, ended);
      if (shown) shown.element.replaceWith(made.element);
      else this.#parts.append(made.element);
      this.#shown[index] = made;
    }
    for (const { element } of this.#shown.splice(parts.length)) element.remove();
    this.#drawn = parts;
    this.#drawnLive = ended ? undefined : parts.length - 1;
  }

  #drawWaiting(parts: readonly Part[], status: StreamStatus | undefined, ended: boolean): void {
    const text = ended ? '' : waitingFor(status, parts);
    this.#waiting.hidden = text === '';
    if (this.#waiting.textContent === text) return;
    this.#waiting.textContent = text;
    if (text !== '') announce(text);
  }

  #drawError(error: ErrorBody): void {
    this.#problem.replaceChildren(make('p', {}, error.message), make('div', { class: 'actions' }, ...this.#remedies(error)));
  }

  #drawEnd({ finishReason, counters }: AnswerEnd): void {
    const counted = tokens(counters);
    this.#facts.replaceChildren(...(finishReason === 'stop' ? [] : [make('span', { class: 'tag' }, finishReason)]), counted);
    announce(finishReason === 'stop' ? `The answer is complete. ${counted}` : `The answer has ended: ${finishReason}.`);
  }
}

function viewOf(kind: Part['kind']): PartView {
  switch (kind) {
    case 'text':
      return textView();
    case 'thinking':
      return thinkingView();
    case 'tool':
      return toolView();
    default:
      return { kind, element: make('p', { class: 'waiting' }, `(a part of kind “${String(kind)}”)`), show: () => undefined }; // Of a newer gateway.
  }
}

function textView(): PartView {
  const view = new MarkdownView();
  return {
    kind: 'text',
    element: view.element,
    show(part, growing, ended) {
      if (part.kind !== 'text') return;
      view.element.classList.toggle('is-growing', growing);
      view.render(part.text, { whole: ended });
    },
  };
}

function thinkingView(): PartView {
  const view = new MarkdownView();
  const summary = make('summary', {}, 'Thinking');
  const element = make('details', { class: 'thinking', open: true }, summary, view.element);
  // Open while it grows and closed once the answer begins, unless the reader has decided otherwise.
  let decided = false;
  summary.addEventListener('click', () => (decided = true));
  return {
    kind: 'thinking',
    element,
    show(part, growing, ended) {
      if (part.kind !== 'thinking') return;
      view.render(part.text, { whole: ended });
      element.classList.toggle('is-growing', growing);
      summary.textContent = growing ? 'Thinking…' : 'Thoughts';
      if (!decided) element.open = growing;
    },
  };
}

function toolView(): PartView {
  const element = make('div', { class: 'tools' });
  return {
    kind: 'tool',
    element,
    show(part) {
      if (part.kind !== 'tool') return;
      element.replaceChildren(
        ...part.calls.map(({ name, arguments: given }) =>
          make('details', { class: 'tool' }, make('summary', {}, 'Wants to call ', make('code', {}, name)), make('pre', {}, JSON.stringify(given, undefined, 2))),
        ),
      );
    },
  };
}

function waitingFor(status: StreamStatus | undefined, parts: readonly Part[]): string {
  if (status?.kind === 'queued') return `Waiting in line, ${status.position > 0 ? `number ${status.position}` : 'next'}…`;
  if (status?.kind === 'loading') return `Loading ${status.model}…`;
  return parts.length === 0 ? 'Waiting for the first word…' : '';
}
