/** Which models there are, and which one is asked; the choice is remembered on this machine. */
import { request } from './api.js';
import { find, make } from './dom.js';

const REMEMBERED = 'ollamesh.model';
const GUIDE = /^guide:/;

export class Models {
  #select = find('model');
  #note = find('guide-note');
  #names = [];
  /** What the reader chose, which may not be there just now. */
  #wanted = remembered();

  constructor() {
    this.#select.addEventListener('change', () => this.choose(this.#select.value));
  }

  /** The model to ask, or undefined to leave it to the mesh. */
  get chosen() {
    return this.#names.includes(this.#select.value) ? this.#select.value : undefined;
  }

  choose(name) {
    this.#wanted = name;
    remember(name);
    this.#draw();
  }

  /** Reads the list again; keeps the old one where the gateway can't tell now. */
  async refresh() {
    try {
      const { models } = await request('GET', '/models');
      const answering = models.filter(({ capabilities }) => !capabilities || capabilities.includes('completion'));
      this.#names = [...new Set(answering.map(({ name }) => name))]; // Several nodes may have one.
      this.#draw();
    } catch {
      return; // No engine yet: the next engine event reads the list again.
    }
  }

  #draw() {
    const options = this.#names.map((name) => make('option', { value: name }, name));
    this.#select.replaceChildren(...(options.length > 0 ? options : [make('option', { value: '' }, 'no model yet')]));
    this.#select.disabled = options.length === 0;
    const first = this.#names.find((name) => !GUIDE.test(name)) ?? this.#names[0];
    const chosen = this.#wanted && this.#names.includes(this.#wanted) ? this.#wanted : first;
    if (chosen) this.#select.value = chosen;
    this.#note.hidden = !GUIDE.test(chosen ?? '');
  }
}

function remembered() {
  try {
    return localStorage.getItem(REMEMBERED) ?? undefined;
  } catch {
    return undefined; // Storage may be switched off.
  }
}

/** @returns false where storage is switched off; the choice then lasts as long as the page */
function remember(name) {
  try {
    localStorage.setItem(REMEMBERED, name);
    return true;
  } catch {
    return false;
  }
}
