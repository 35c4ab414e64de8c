/** Shows one stream's answer as it grows: thinking, text, tools, what it waits for, and how it ended. Drawn once a frame at most. */
import { announce, make } from './dom.js';
import { tokens } from './format.js';
import { MarkdownView } from './markdown.js';

export class AnswerView {
  #parts = make('div', { class: 'parts' });
  #waiting = make('p', { class: 'waiting', hidden: true });
  #problem = make('div', { class: 'problem', role: 'alert', hidden: true });
  #facts = make('span', { class: 'facts' });
  /** What may be done with the answer: buttons that the owner of this view adds. */
  actions = make('div', { class: 'actions' });
  element = make('article', { class: 'answer is-live', 'aria-label': 'Answer' }, this.#parts, this.#waiting, this.#problem);
  #shown = [];
  #state;
  #drawnEnding;
  #scheduled = false;
  #onDrawn;
  #remedies;

  /**
   * @param {() => void} onDrawn called after each change to the page
   * @param {(error: object) => Node[]} remedies the buttons to show beside an error
   */
  constructor(onDrawn = () => {}, remedies = () => []) {
    this.#onDrawn = onDrawn;
    this.#remedies = remedies;
    this.element.append(make('footer', { class: 'answer-foot' }, this.actions, this.#facts));
  }

  update(state) {
    this.#state = state;
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
      this.#onDrawn();
    });
  }

  #draw() {
    const { parts, ending, status } = this.#state;
    const ended = ending !== undefined;
    this.#drawParts(parts, ended);
    this.element.classList.toggle('is-live', !ended);
    this.element.setAttribute('aria-busy', String(!ended));
    this.#drawWaiting(parts, status, ended);
    this.#problem.hidden = ending?.kind !== 'failed';
    if (ended && this.#drawnEnding !== ending) this.#drawEnding(ending);
    this.#drawnEnding = ending;
  }

  #drawParts(parts, ended) {
    for (const [index, part] of parts.entries()) {
      const shown = this.#shown[index];
      const isLast = index === parts.length - 1;
      if (shown?.kind === part.kind) {
        shown.show(part, isLast && !ended, ended);
        continue;
      }
      const made = PART_VIEWS[part.kind]?.() ?? unknownPart(part);
      made.kind = part.kind;
      made.show(part, isLast && !ended, ended);
      if (shown) shown.element.replaceWith(made.element);
      else this.#parts.append(made.element);
      this.#shown[index] = made;
    }
    for (const { element } of this.#shown.splice(parts.length)) element.remove();
  }

  #drawWaiting(parts, status, ended) {
    const text = ended ? '' : waitingFor(status, parts);
    this.#waiting.hidden = text === '';
    if (this.#waiting.textContent === text) return;
    this.#waiting.textContent = text;
    if (text !== '') announce(text);
  }

  #drawEnding(ending) {
    if (ending.kind === 'failed') {
      const { error } = ending;
      this.#problem.replaceChildren(make('p', {}, error.message), make('div', { class: 'actions' }, ...this.#remedies(error)));
      return;
    }
    const counted = tokens(ending.counters);
    this.#facts.replaceChildren(...(ending.finishReason === 'stop' ? [] : [make('span', { class: 'tag' }, ending.finishReason)]), counted);
    announce(ending.finishReason === 'stop' ? `The answer is complete. ${counted}` : `The answer has ended: ${ending.finishReason}.`);
  }
}

const PART_VIEWS = {
  text() {
    const view = new MarkdownView();
    let drawn;
    return {
      element: view.element,
      show({ text }, growing, ended) {
        view.element.classList.toggle('is-growing', growing);
        if (drawn === text && !ended) return;
        view.render(text, { whole: ended });
        drawn = text;
      },
    };
  },
  thinking() {
    const view = new MarkdownView();
    const summary = make('summary', {}, 'Thinking');
    const element = make('details', { class: 'thinking', open: true }, summary, view.element);
    // Open while it grows and closed once the answer begins, unless the reader has decided otherwise.
    let decided = false;
    summary.addEventListener('click', () => (decided = true));
    return {
      element,
      show({ text }, growing, ended) {
        view.render(text, { whole: ended });
        element.classList.toggle('is-growing', growing);
        summary.textContent = growing ? 'Thinking…' : 'Thoughts';
        if (!decided) element.open = growing;
      },
    };
  },
  tool() {
    const element = make('div', { class: 'tools' });
    return {
      element,
      show({ calls }) {
        element.replaceChildren(
          ...calls.map(({ name, arguments: given }) =>
            make('details', { class: 'tool' }, make('summary', {}, 'Wants to call ', make('code', {}, name)), make('pre', {}, JSON.stringify(given, undefined, 2))),
          ),
        );
      },
    };
  },
};

/** A kind that a newer gateway may send. */
function unknownPart({ kind }) {
  return { element: make('p', { class: 'waiting' }, `(a part of kind “${kind}”)`), show() {} };
}

function waitingFor(status, parts) {
  if (status?.kind === 'queued') return `Waiting in line, ${status.position > 0 ? `number ${status.position}` : 'next'}…`;
  if (status?.kind === 'loading') return `Loading ${status.model}…`;
  return parts.length === 0 ? 'Waiting for the first word…' : '';
}
