/** "What happened": the mesh's news as lines, the newest first; what repeats itself is said once. */
import type { Engine, Hardware, PullProgress } from '#client';
import { find, make } from './dom.js';

/** Older lines are forgotten. */
const LINES = 100;

export class EventFeed {
  readonly #list = find('events');
  /** What was said last of each subject. */
  readonly #said = new Map<string, string>();

  takeEngine({ node, state, reason, driver }: Engine): void {
    this.#say(`engine ${node}`, `Engine${driver ? ` (${driver})` : ''} ${state}`, reason);
  }

  takeHardware({ node, gpus, warnings }: Hardware): void {
    const found = gpus.length === 0 ? 'no GPU' : gpus.map(({ name }) => name).join(', ');
    this.#say(`hardware ${node}`, `Machine ${node}: ${found}`, warnings.map(({ problem }) => problem).join(' '));
  }

  takePull({ model, status, phase, error }: PullProgress): void {
    const state = status === 'success' ? 'is here' : status === 'failed' ? 'could not be had' : phase;
    this.#say(`pull ${model}`, `${model}: ${state}`, error?.message ?? '');
  }

  takeConnection(connected: boolean): void {
    this.#say('connection', connected ? 'Connected' : 'Connection lost', '');
  }

  #say(subject: string, what: string, why: string): void {
    if (this.#said.get(subject) === what + why) return;
    this.#said.set(subject, what + why);
    const now = new Date();
    this.#list.prepend(make('li', {}, make('time', { datetime: now.toISOString() }, now.toLocaleTimeString()), make('span', {}, make('strong', {}, what), why === '' ? '' : ` ${why}`)));
    while (this.#list.children.length > LINES) this.#list.lastElementChild?.remove();
  }
}
