/** "Let others watch": a link to one stream, folded away until asked for. */
import { copyButton } from './clipboard.js';
import { icon, make } from './dom.js';

const STREAM_ID = /^[A-Za-z0-9_-]{22,64}$/;

export function isStreamId(text: string): boolean {
  return STREAM_ID.test(text);
}

export function watchLink(streamId: string): string {
  return `${location.origin}/watch/${streamId}`;
}

/** A button for a row of actions, and what it unfolds. */
export function sharing(streamId: string): { button: HTMLElement; panel: HTMLElement } {
  const link = watchLink(streamId);
  const field = make('input', { type: 'text', class: 'link-field', readonly: true, value: link, 'aria-label': 'Link to watch this answer' });
  field.addEventListener('focus', () => field.select());
  const panel = make(
    'div',
    { class: 'share', hidden: true },
    make('p', {}, 'Whoever can reach this address sees the answer live, from its first word.'),
    make('div', { class: 'share-row' }, field, copyButton('Copy link', () => link)),
  );
  const button = make('button', { type: 'button', class: 'quiet', 'aria-expanded': 'false', onclick: toggle }, icon('share'), 'Let others watch');
  function toggle() {
    panel.hidden = !panel.hidden;
    button.setAttribute('aria-expanded', String(!panel.hidden));
    if (!panel.hidden) field.focus();
  }
  return { button, panel };
}
