/** The watch view: one stream of somebody else's, by its link. */
import { AnswerView } from './answer-view.js';
import { copyButton } from './clipboard.js';
import { find, make } from './dom.js';
import { followEnd } from './follow-end.js';
import { watchLink } from './share.js';
import { textOf } from './stream-state.js';
import type { Streams } from './streams.js';

const STREAM_ID = /^[A-Za-z0-9_-]{22,64}$/;
const GONE: Record<string, string> = {
  stream_not_found: 'There is no answer behind this link. It may have been mistyped, or the mesh has been restarted since.',
  stream_gone: 'This answer has ended some time ago and is no longer kept.',
};

export class WatchView {
  readonly #streams: Streams;
  #unwatch: () => void = () => undefined;

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  show(streamId: string): void {
    this.hide();
    find('watch-head').hidden = true;
    if (!STREAM_ID.test(streamId)) {
      this.#miss('This is not a link to an answer.');
      return;
    }
    const view = new AnswerView(followEnd);
    find('watch-answer').replaceChildren(view.element);
    find('watch-copy').replaceChildren(copyButton('Copy link', () => watchLink(streamId)));
    let hasCopy = false;
    this.#unwatch = this.#streams.watch(streamId, (state) => {
      if (state.ending?.kind === 'failed' && state.model === undefined) {
        this.#miss(GONE[state.ending.error.code] ?? state.ending.error.message);
        return;
      }
      find('watch-head').hidden = state.model === undefined;
      find('watch-model').textContent = state.model ?? '';
      find('watch-position').textContent = state.position ?? '';
      const badge = find('watch-badge');
      badge.textContent = state.ending ? 'ended' : 'live';
      badge.classList.toggle('is-live', !state.ending);
      view.update(state);
      if (!state.ending || hasCopy || textOf(state) === '') return;
      hasCopy = true;
      view.actions.append(copyButton('Copy', () => textOf(state)));
    });
  }

  hide(): void {
    this.#unwatch();
    this.#unwatch = () => undefined;
    find('watch-answer').replaceChildren();
  }

  #miss(text: string): void {
    find('watch-head').hidden = true;
    find('watch-answer').replaceChildren(
      make('div', { class: 'missing', role: 'alert' }, make('h1', {}, 'Nothing to watch here'), make('p', {}, text), make('a', { href: '/', class: 'button' }, 'Ask something yourself')),
    );
  }
}
