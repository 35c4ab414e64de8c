/** The API key of this page's user, where the gateway asks for one. It stays in this browser. */
import { find } from './dom.js';
import { recall, remember } from './memory.js';

const STORED = 'ollamesh-key';

export function storedKey(): string | undefined {
  return recall(STORED);
}

/** Asks for a key; not whoever was sent a link to watch, who needs none. */
export function askForKey(reason = ''): void {
  if (document.body.dataset['view'] === 'watch') return;
  find('key-problem').textContent = storedKey() === undefined ? '' : reason;
  find('key-box').showPopover();
}

/** Everything begins anew with the key that is given. */
export function takeKeys(): void {
  find('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    remember(STORED, find<HTMLInputElement>('key').value.trim());
    location.reload();
  });
}
