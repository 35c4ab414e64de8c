/** The conversation of this page: questions, their answers, and what is sent to the model of them. */
import { type Answer, type ChatMessage, type ErrorBody, MeshError } from '#client';
import { textOf } from '#stream-parts';
import { AnswerView } from './answer-view.js';
import { copyButton } from './clipboard.js';
import { keepTurns, keptTurns } from './conversation.js';
import { announce, find, icon, make } from './dom.js';
import { goToEnd } from './follow-end.js';
import { gateway } from './gateway.js';
import { sharing } from './share.js';
import { type ShownAnswer, hasEnded } from './shown-answer.js';

const NOTHING_YET: ShownAnswer = { parts: [] };
/** What a gateway says of a stream that it does not know, or no longer. */
const UNKNOWN = new Set<string>(['stream_not_found', 'stream_gone']);
const LOST = new MeshError('producer_lost', 'The mesh was restarted, and the rest of this answer is lost.');

interface Turn {
  readonly question: string;
  readonly section: HTMLElement;
  answer: ShownAnswer;
  view: AnswerView;
  ended: boolean;
  streamId?: string | undefined;
  ownerToken?: string | undefined;
  /** What is watched of it. */
  running?: Answer | undefined;
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

  constructor(private readonly page: ChatPage) {}

  get empty(): boolean {
    return this.#turns.length === 0;
  }

  /** True while an answer is being written. */
  get busy(): boolean {
    const last = this.#turns.at(-1);
    return last !== undefined && !last.ended;
  }

  /** The last answer's text, or nothing. */
  get lastAnswer(): string {
    const last = this.#turns.at(-1);
    return last ? textOf(last.answer.parts) : '';
  }

  /** Shows what this browser has kept; an answer that was running goes on. */
  restore(): void {
    for (const kept of keptTurns()) {
      const turn = this.#add(kept.question);
      Object.assign(turn, { streamId: kept.streamId, ownerToken: kept.ownerToken });
      this.#show(turn);
      if (kept.answer) this.#take(turn, kept.answer);
      else if (kept.streamId) this.#follow(turn, gateway.watch(kept.streamId, kept));
      else this.#take(turn, { ...NOTHING_YET, error: LOST });
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
    Object.assign(turn, { ended: false, streamId: undefined, ownerToken: undefined, running: undefined, stopped: false });
    void this.#answer(turn);
    goToEnd();
  }

  clear(): void {
    this.stop();
    const gone = this.#turns;
    this.#turns = [];
    for (const { running } of gone) running?.close();
    this.#list.replaceChildren();
    this.#keep();
    this.page.onChange();
  }

  #add(question: string): Turn {
    const turn: Turn = { question, answer: NOTHING_YET, ended: false, view: new AnswerView(), section: make('section', { class: 'turn' }) };
    this.#turns.push(turn);
    this.#list.append(turn.section);
    return turn;
  }

  #show(turn: Turn): void {
    turn.view = new AnswerView((error) => this.#remedies(turn, error));
    turn.section.replaceChildren(make('h2', { class: 'visually-hidden' }, 'You asked'), make('p', { class: 'question' }, turn.question), turn.view.element);
  }

  async #stop(turn: Turn): Promise<void> {
    if (turn.ended) return;
    turn.stopped = true; // One that has not begun is stopped by #answer, as soon as it has.
    try {
      await turn.running?.cancel();
    } catch (error) {
      announce(MeshError.from(error).message); // The answer goes on, and so may be stopped again.
    }
  }

  async #answer(turn: Turn): Promise<void> {
    this.#show(turn);
    this.#take(turn, NOTHING_YET);
    try {
      const model = this.page.chosenModel();
      const system = this.page.system();
      const answer = await gateway.chat(this.#messages(turn), { ...(model && { model }), ...(system && { system }) });
      Object.assign(turn, { streamId: answer.id, ownerToken: answer.ownerToken });
      this.#keep();
      this.#follow(turn, answer);
      if (turn.stopped) await this.#stop(turn);
    } catch (error) {
      this.#take(turn, { ...NOTHING_YET, error: MeshError.from(error) });
    }
  }

  #follow(turn: Turn, answer: Answer): void {
    turn.running = answer;
    const { button, panel } = sharing(answer.id);
    turn.view.actions.append(button);
    turn.view.element.append(panel);
    turn.unshare = () => [button, panel].forEach((element) => element.remove());
    const take = () => turn.running === answer && this.#turns.includes(turn) && this.#take(turn, answer);
    answer.subscribe(take);
    take();
  }

  #take(turn: Turn, answer: ShownAnswer): void {
    // It was here: that it is unknown now means that it is lost.
    turn.answer = answer.error && UNKNOWN.has(answer.error.code) ? { parts: answer.parts, error: LOST } : answer;
    turn.view.update(turn.answer);
    if (!turn.ended && hasEnded(answer)) {
      turn.ended = true;
      this.#keep();
      if (textOf(answer.parts) !== '') turn.view.actions.prepend(copyButton('Copy', () => textOf(turn.answer.parts)));
      if (answer.end) turn.view.actions.append(this.#againButton('Answer again'));
    }
    this.page.onChange();
  }

  #keep(): void {
    keepTurns(
      this.#turns.map(({ question, streamId, ownerToken, ended, answer: { parts, end, error } }) => {
        const isUnseen = streamId !== undefined && error?.code === 'unauthorized'; // With another key it may still be.
        const isOver = ended && !isUnseen;
        return { question, streamId, ownerToken, ...(isOver && { answer: { parts, end, error } }) };
      }),
    );
  }

  /** Earlier turns with an answer, then this question. */
  #messages(turn: Turn): ChatMessage[] {
    const earlier = this.#turns.slice(0, this.#turns.indexOf(turn)).flatMap(({ question, answer: { parts } }) => {
      const answer = textOf(parts);
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
