/** The conversation of this page: questions, their answers, and what is sent to the model of them. */
import { AnswerView } from './answer-view.js';
import { copyButton } from './clipboard.js';
import { announce, find, icon, make } from './dom.js';
import { followEnd, goToEnd } from './follow-end.js';
import { sharing } from './share.js';
import { newStream, textOf, withFailure } from './stream-state.js';

export class Chat {
  #streams;
  #chosenModel;
  #getModel;
  #onChange;
  #list = find('turns');
  /** `{question, state, view, section, stop?, ownerToken?, share?}`, oldest first. */
  #turns = [];

  /**
   * @param {import('./streams.js').Streams} streams
   * @param {{chosenModel: () => string | undefined, getModel: (name: string) => void, onChange: () => void}} page
   */
  constructor(streams, { chosenModel, getModel, onChange }) {
    this.#streams = streams;
    this.#chosenModel = chosenModel;
    this.#getModel = getModel;
    this.#onChange = onChange;
  }

  get empty() {
    return this.#turns.length === 0;
  }

  /** True while an answer is being written. */
  get busy() {
    const last = this.#turns.at(-1);
    return last !== undefined && !last.state.ending;
  }

  ask(question) {
    const turn = { question, state: newStream(undefined), section: make('section', { class: 'turn' }) };
    this.#turns.at(-1)?.share?.remove();
    this.#turns.push(turn);
    this.#list.append(turn.section);
    void this.#answer(turn);
    goToEnd();
  }

  /** Ends the answer being written; what has come of it stays. */
  stop() {
    const turn = this.#turns.at(-1);
    if (turn) void this.#stop(turn);
  }

  clear() {
    this.stop();
    for (const { unwatch } of this.#turns) unwatch?.();
    this.#turns = [];
    this.#list.replaceChildren();
    this.#onChange();
  }

  async #stop(turn) {
    if (turn.state.ending) return;
    turn.stopped = true;
    if (!turn.ownerToken) return; // It has not begun; #answer stops it as soon as it has.
    try {
      await this.#streams.cancel(turn.streamId, turn.ownerToken);
    } catch (error) {
      announce(error.message); // The answer goes on, and so may be stopped again.
    }
  }

  async #answer(turn) {
    turn.view = new AnswerView(followEnd, (error) => this.#remedies(turn, error));
    turn.section.replaceChildren(make('h2', { class: 'visually-hidden' }, 'You asked'), make('p', { class: 'question' }, turn.question), turn.view.element);
    this.#take(turn, newStream(undefined));
    try {
      const model = this.#chosenModel();
      const created = await this.#streams.ask({ messages: this.#messages(turn), ...(model && { model }) });
      Object.assign(turn, { streamId: created.id, ownerToken: created.ownerToken });
      this.#addShare(turn, created.id);
      turn.unwatch = this.#streams.watch(created.id, (state) => this.#take(turn, state));
      if (turn.stopped) await this.#stop(turn);
    } catch (error) {
      this.#take(turn, withFailure(turn.state, { error }));
    }
  }

  #take(turn, state) {
    const hadEnded = turn.state.ending !== undefined;
    turn.state = state;
    turn.view.update(state);
    if (!hadEnded && state.ending && textOf(state) !== '') turn.view.actions.prepend(copyButton('Copy', () => textOf(turn.state)));
    this.#onChange();
  }

  #addShare(turn, streamId) {
    const { button, panel } = sharing(streamId);
    turn.view.actions.append(button);
    turn.view.element.append(panel);
    turn.share = { remove: () => [button, panel].forEach((element) => element.remove()) };
  }

  /** Earlier turns with an answer, then this question. */
  #messages(turn) {
    const earlier = this.#turns.slice(0, this.#turns.indexOf(turn)).flatMap(({ question, state }) => {
      const answer = textOf(state);
      return answer === '' ? [] : [{ role: 'user', content: question }, { role: 'assistant', content: answer }];
    });
    return [...earlier, { role: 'user', content: turn.question }];
  }

  #remedies(turn, error) {
    const isLast = turn === this.#turns.at(-1);
    const missing = error.details?.pull?.request?.body?.model;
    return [
      ...(error.retryable && isLast ? [make('button', { type: 'button', class: 'plain', onclick: () => this.#retry(turn) }, icon('retry'), 'Try again')] : []),
      ...(typeof missing === 'string' ? [make('button', { type: 'button', class: 'plain', onclick: () => this.#getModel(missing) }, `Get ${missing}`)] : []),
    ];
  }

  #retry(turn) {
    if (this.busy || turn !== this.#turns.at(-1)) return;
    turn.unwatch?.();
    Object.assign(turn, { state: newStream(undefined), ownerToken: undefined, unwatch: undefined, stopped: false });
    void this.#answer(turn);
    goToEnd();
  }
}
