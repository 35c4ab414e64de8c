/** The conversation of this page: questions, their answers, and what is sent to the model of them. */
import type { CreateStream, ErrorBody } from '#contracts';
import { AnswerView } from './answer-view.js';
import { copyButton } from './clipboard.js';
import { keepTurns, keptTurns, stateOf } from './conversation.js';
import { announce, find, icon, make } from './dom.js';
import { bodyOf } from './errors.js';
import { followEnd, goToEnd } from './follow-end.js';
import { sharing } from './share.js';
import { type StreamState, newStream, textOf, withFailure } from './stream-state.js';
import { LOST, type Streams, UNKNOWN } from './streams.js';

interface Turn {
  readonly question: string;
  readonly section: HTMLElement;
  state: StreamState;
  view: AnswerView;
  streamId?: string | undefined;
  ownerToken?: string | undefined;
  unwatch?: (() => void) | undefined;
  unshare?: (() => void) | undefined;
  /** Asked to stop, perhaps before it had begun. */
  stopped?: boolean;
}

export interface ChatPage {
  chosenModel(): string | undefined;
  system(): string;
  getModel(name: string): void;
  onChange(): void;
}

export class Chat {
  readonly #list = find('turns');
  #turns: Turn[] = [];

  constructor(
    private readonly streams: Streams,
    private readonly page: ChatPage,
  ) {}

  get empty(): boolean {
    return this.#turns.length === 0;
  }

  /** True while an answer is being written. */
  get busy(): boolean {
    const last = this.#turns.at(-1);
    return last !== undefined && !last.state.ending;
  }

  /** The last answer's text, or nothing. */
  get lastAnswer(): string {
    const last = this.#turns.at(-1);
    return last ? textOf(last.state) : '';
  }

  /** Shows what this browser has kept; an answer that was running goes on. */
  restore(): void {
    for (const kept of keptTurns()) {
      const turn = this.#add(kept.question);
      Object.assign(turn, { streamId: kept.streamId, ownerToken: kept.ownerToken });
      this.#show(turn);
      this.#take(turn, stateOf(kept));
      if (kept.state) continue;
      if (kept.streamId) this.#follow(turn, kept.streamId);
      else this.#take(turn, withFailure(turn.state, { error: LOST }));
    }
    this.page.onChange();
  }

  ask(question: string): void {
    this.#turns.at(-1)?.unshare?.();
    const turn = this.#add(question);
    void this.#answer(turn);
    goToEnd();
  }

  /** Ends the answer being written; what has come of it stays. */
  stop(): void {
    const turn = this.#turns.at(-1);
    if (turn) void this.#stop(turn);
  }

  /** Asks the last question again, in place of its answer. */
  again(): void {
    const turn = this.#turns.at(-1);
    if (!turn || this.busy) return;
    turn.unwatch?.();
    Object.assign(turn, { state: newStream(), streamId: undefined, ownerToken: undefined, unwatch: undefined, stopped: false });
    void this.#answer(turn);
    goToEnd();
  }

  clear(): void {
    this.stop();
    for (const { unwatch } of this.#turns) unwatch?.();
    this.#turns = [];
    this.#list.replaceChildren();
    this.#keep();
    this.page.onChange();
  }

  #add(question: string): Turn {
    const turn: Turn = { question, state: newStream(), view: new AnswerView(), section: make('section', { class: 'turn' }) };
    this.#turns.push(turn);
    this.#list.append(turn.section);
    return turn;
  }

  #show(turn: Turn): void {
    turn.view = new AnswerView(followEnd, (error) => this.#remedies(turn, error));
    turn.section.replaceChildren(make('h2', { class: 'visually-hidden' }, 'You asked'), make('p', { class: 'question' }, turn.question), turn.view.element);
  }

  async #stop(turn: Turn): Promise<void> {
    if (turn.state.ending) return;
    turn.stopped = true;
    if (!turn.streamId || !turn.ownerToken) return; // It has not begun; #answer stops it as soon as it has.
    try {
      await this.streams.cancel(turn.streamId, turn.ownerToken);
    } catch (error) {
      announce(bodyOf(error).message); // The answer goes on, and so may be stopped again.
    }
  }

  async #answer(turn: Turn): Promise<void> {
    this.#show(turn);
    this.#take(turn, newStream());
    try {
      const model = this.page.chosenModel();
      const system = this.page.system();
      const created = await this.streams.ask({ messages: this.#messages(turn), ...(model && { model }), ...(system && { system }) });
      Object.assign(turn, { streamId: created.id, ownerToken: created.ownerToken });
      this.#keep();
      this.#follow(turn, created.id);
      if (turn.stopped) await this.#stop(turn);
    } catch (error) {
      this.#take(turn, withFailure(turn.state, { error: bodyOf(error) }));
    }
  }

  #follow(turn: Turn, streamId: string): void {
    const { button, panel } = sharing(streamId);
    turn.view.actions.append(button);
    turn.view.element.append(panel);
    turn.unshare = () => [button, panel].forEach((element) => element.remove());
    turn.unwatch = this.streams.watch(streamId, (state) => this.#take(turn, state));
  }

  #take(turn: Turn, state: StreamState): void {
    const hadEnded = turn.state.ending !== undefined;
    const { ending } = state;
    // It was here: that it is unknown now means that it is lost.
    turn.state = ending?.kind === 'failed' && UNKNOWN.has(ending.error.code) ? { ...state, ending: { kind: 'failed', error: LOST } } : state;
    turn.view.update(turn.state);
    if (!hadEnded && ending) {
      this.#keep();
      if (textOf(state) !== '') turn.view.actions.prepend(copyButton('Copy', () => textOf(turn.state)));
      if (ending.kind === 'done') turn.view.actions.append(this.#againButton('Answer again'));
    }
    this.page.onChange();
  }

  #keep(): void {
    keepTurns(this.#turns.map(({ question, streamId, ownerToken, state }) => ({ question, streamId, ownerToken, ...(state.ending && { state }) })));
  }

  /** Earlier turns with an answer, then this question. */
  #messages(turn: Turn): NonNullable<CreateStream['messages']> {
    const earlier = this.#turns.slice(0, this.#turns.indexOf(turn)).flatMap(({ question, state }) => {
      const answer = textOf(state);
      return answer === '' ? [] : [{ role: 'user' as const, content: question }, { role: 'assistant' as const, content: answer }];
    });
    return [...earlier, { role: 'user', content: turn.question }];
  }

  #remedies(turn: Turn, error: ErrorBody): Node[] {
    const missing = (error.details as { pull?: { request?: { body?: { model?: unknown } } } } | undefined)?.pull?.request?.body?.model;
    return [
      ...(error.retryable && turn === this.#turns.at(-1) ? [this.#againButton('Try again')] : []),
      ...(typeof missing === 'string' ? [make('button', { type: 'button', class: 'plain', onclick: () => this.page.getModel(missing) }, `Get ${missing}`)] : []),
    ];
  }

  /** Only the last answer's is seen: an earlier one can't be asked again without what came after it. */
  #againButton(label: string): HTMLElement {
    return make('button', { type: 'button', class: label === 'Try again' ? 'plain again' : 'quiet again', onclick: () => this.again() }, icon('retry'), label);
  }
}
