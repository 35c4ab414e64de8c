/** Copies text, also where the clipboard API is missing (a gateway reached over plain HTTP by another name than localhost). */
import { icon, make } from './dom.js';

const SAID_MS = 1_600;

/** A button that copies `text()` and says so for a moment. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const caption = make('span', {}, label);
  const button = make('button', { type: 'button', class: 'quiet', onclick: () => void copy() }, icon('copy'), caption);
  let timer: ReturnType<typeof setTimeout>;
  async function copy() {
    const copied = await copyText(text());
    caption.textContent = copied ? 'Copied' : 'Press Ctrl+C';
    button.classList.toggle('is-done', copied);
    clearTimeout(timer);
    timer = setTimeout(() => {
      caption.textContent = label;
      button.classList.remove('is-done');
    }, SAID_MS);
  }
  return button;
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // No permission, or no secure context.
  }
}

function copyBySelection(text: string): boolean {
  const area = make('textarea', { class: 'visually-hidden', readonly: true, 'aria-hidden': 'true' });
  area.value = text;
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}
