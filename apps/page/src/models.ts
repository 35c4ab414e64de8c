/** Which models there are, and which one is asked; the choice is remembered on this machine. */
import type { Model } from '#client';
import { find, make } from './dom.js';
import { gateway } from './gateway.js';
import { recall, remember } from './memory.js';

const REMEMBERED = 'ollamesh.model';
const GUIDE = /^guide:/;

export class Models {
  readonly #select = find<HTMLSelectElement>('model');
  readonly #note = find('guide-note');
  #names: string[] = [];
  /** What the reader chose, which may not be there just now. */
  #wanted = recall(REMEMBERED);

  readonly #onList: (models: readonly Model[]) => void;

  /** @param onList told of each list that was read */
  constructor(onList: (models: readonly Model[]) => void) {
    this.#onList = onList;
    this.#select.addEventListener('change', () => this.choose(this.#select.value));
  }

  /** The model to ask, or undefined to leave it to the mesh. */
  get chosen(): string | undefined {
    return this.#names.includes(this.#select.value) ? this.#select.value : undefined;
  }

  focus(): void {
    this.#select.focus();
  }

  choose(name: string): void {
    this.#wanted = name;
    remember(REMEMBERED, name);
    this.#draw();
  }

  /** Reads the list again; keeps the old one where the gateway can't tell now. */
  async refresh(): Promise<void> {
    try {
      const models = await gateway.models.list();
      this.#onList(models);
      const answering = models.filter(({ capabilities }) => !capabilities || capabilities.includes('completion'));
      this.#names = [...new Set(answering.map(({ name }) => name))]; // Several nodes may have one.
      this.#draw();
    } catch {
      return; // No engine yet: the next engine event reads the list again.
    }
  }

  #draw(): void {
    const options = this.#names.map((name) => make('option', { value: name }, name));
    this.#select.replaceChildren(...(options.length > 0 ? options : [make('option', { value: '' }, 'no model yet')]));
    this.#select.disabled = options.length === 0;
    const first = this.#names.find((name) => !GUIDE.test(name)) ?? this.#names[0];
    const chosen = this.#wanted && this.#names.includes(this.#wanted) ? this.#wanted : first;
    if (chosen) this.#select.value = chosen;
    this.#note.hidden = !GUIDE.test(chosen ?? '');
  }
}
