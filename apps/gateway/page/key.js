/** The API key of this page's user, where the gateway asks for one. It stays in this browser. */
import { find } from './dom.js';

const STORED = 'ollamesh-key';

/** @returns {string | undefined} */
export function storedKey() {
  return localStorage.getItem(STORED) ?? undefined;
}

/** What to send along with a request. */
export function keyHeaders() {
  const key = storedKey();
  return key === undefined ? {} : { 'x-api-key': key };
}

/** Asks for a key; not whoever was sent a link to watch, who needs none. */
export function askForKey(reason = '') {
  if (document.body.dataset.view === 'watch') return;
  find('key-problem').textContent = storedKey() === undefined ? '' : reason;
  find('key-box').showPopover();
}

/** Everything begins anew with the key that is given. */
export function takeKeys() {
  find('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    localStorage.setItem(STORED, find('key').value.trim());
    location.reload();
  });
}
