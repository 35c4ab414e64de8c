/** Single keys, where nothing is being written; Escape stops an answer where it closes no box. index.html lists them for the reader. */

/** @param keys what each key does, by the letter */
export function listenToKeys(keys: Readonly<Record<string, () => void>>, onEscape: () => void): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (event.key === 'Escape') {
      if (!document.querySelector(':popover-open')) onEscape();
      return;
    }
    if (isWriting(event.target)) return;
    const act = keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault(); // The key itself is not typed into the field it leads to.
    act();
  });
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}
