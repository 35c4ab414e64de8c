/** The watch view: one stream of somebody else's, by its link. */
import { AnswerView } from './answer-view.js';
import { copyButton } from './clipboard.js';
import { find, make } from './dom.js';
import './follow-end.js';
import { gateway } from './gateway.js';
import { isStreamId, watchLink } from './share.js';
import { hasEnded } from './shown-answer.js';

const GONE: Record<string, string> = {
  stream_not_found: 'There is no answer behind this link. It may have been mistyped, or the mesh has been restarted since.',
  stream_gone: 'This answer has ended some time ago and is no longer kept.',
};

export class WatchView {
  #unwatch: () => void = () => undefined;

  show(streamId: string): void {
    this.hide();
    find('watch-head').hidden = true;
    if (!isStreamId(streamId)) {
      this.#miss('This is not a link to an answer.');
      return;
    }
    const view = new AnswerView();
    find('watch-answer').replaceChildren(view.element);
    find('watch-copy').replaceChildren(copyButton('Copy link', () => watchLink(streamId)));
    let hasCopy = false;
    const answer = gateway.watch(streamId);
    const draw = () => {
      const { error, model, position } = answer;
      const ended = hasEnded(answer);
      if (error && model === undefined) {
        this.#miss(GONE[error.code] ?? error.message);
        return;
      }
      find('watch-head').hidden = model === undefined;
      find('watch-model').textContent = model ?? '';
      find('watch-position').textContent = position ?? '';
      const badge = find('watch-badge');
      badge.textContent = ended ? 'ended' : 'live';
      badge.classList.toggle('is-live', !ended);
      view.update(answer);
      if (!ended || hasCopy || answer.content === '') return;
      hasCopy = true;
      view.actions.append(copyButton('Copy', () => answer.content));
    };
    const unsubscribe = answer.subscribe(draw);
    draw();
    this.#unwatch = () => {
      unsubscribe();
      answer.close();
    };
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
