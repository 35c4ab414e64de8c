/** Requests that wait, taken in turns: one of each client after the other, each client's own in their order. Pure. */

/** Whatever waits; the queue marks it. */
export interface Waiting {
  readonly client: string;
}

interface Line<Item> {
  readonly client: string;
  /** Those before `head` were taken; an undefined one left. */
  items: (Item | undefined)[];
  head: number;
  size: number;
}

/** A line is tidied when so many of its places are empty, and they are the larger part. */
const TIDY_AT = 64;

export class FairQueue<Item extends Waiting> {
  readonly #lines = new Map<string, Line<Item>>();
  /** The lines that are not empty, in the order of their turns from `#at` on. */
  readonly #ring: Line<Item>[] = [];
  #at = 0;
  readonly #places = new Map<Item, number>();

  get size(): number {
    return this.#places.size;
  }

  /** How many of `client` wait. */
  sizeOf(client: string): number {
    return this.#lines.get(client)?.size ?? 0;
  }

  has(item: Item): boolean {
    return this.#places.has(item);
  }

  /** How many would go before one that `client` adds now. */
  aheadOfNext(client: string): number {
    const own = this.sizeOf(client);
    const mine = this.#ring.findIndex((line) => line.client === client);
    const myTurn = mine < 0 ? this.#ring.length : (mine - this.#at + this.#ring.length) % this.#ring.length;
    let ahead = own;
    for (const [index, line] of this.#ring.entries()) {
      if (index === mine) continue;
      const isBefore = (index - this.#at + this.#ring.length) % this.#ring.length < myTurn;
      ahead += Math.min(line.size, isBefore ? own + 1 : own);
    }
    return ahead;
  }

  /** A client that had none waiting has its turn after all the others. */
  add(item: Item): void {
    let line = this.#lines.get(item.client);
    if (!line) {
      line = { client: item.client, items: [], head: 0, size: 0 };
      this.#lines.set(item.client, line);
      this.#ring.splice(this.#at, 0, line);
      this.#at = (this.#at + 1) % this.#ring.length;
    }
    this.#places.set(item, line.items.length);
    line.items.push(item);
    line.size++;
  }

  /** The one whose turn it is; it stays. */
  peek(): Item | undefined {
    const line = this.#ring[this.#at];
    return line && first(line);
  }

  /** Takes the one whose turn it is. */
  take(): Item | undefined {
    const line = this.#ring[this.#at];
    const item = line && first(line);
    if (!line || !item) return undefined;
    this.#at = (this.#at + 1) % this.#ring.length;
    this.#drop(line, item);
    return item;
  }

  /** @returns false where it does not wait here */
  remove(item: Item): boolean {
    const line = this.#lines.get(item.client);
    if (!line || !this.#places.has(item)) return false;
    this.#drop(line, item);
    return true;
  }

  /** Everyone in the order of their turns, as if nobody came or left. */
  *inOrder(): Generator<Item> {
    const lines = [...this.#ring.slice(this.#at), ...this.#ring.slice(0, this.#at)].map(({ items, head }) => ({ items, next: head }));
    for (let left = this.size; left > 0; ) {
      for (const line of lines) {
        while (line.next < line.items.length && line.items[line.next] === undefined) line.next++;
        const item = line.items[line.next++];
        if (item === undefined) continue;
        left--;
        yield item;
      }
    }
  }

  #drop(line: Line<Item>, item: Item): void {
    const place = this.#places.get(item) ?? -1;
    this.#places.delete(item);
    line.items[place] = undefined;
    line.size--;
    while (line.head < line.items.length && line.items[line.head] === undefined) line.head++;
    if (line.size === 0) this.#retire(line);
    else if (line.head > TIDY_AT && line.head > line.items.length / 2) this.#tidy(line);
  }

  #retire(line: Line<Item>): void {
    this.#lines.delete(line.client);
    const index = this.#ring.indexOf(line);
    this.#ring.splice(index, 1);
    if (index < this.#at) this.#at--;
    if (this.#at >= this.#ring.length) this.#at = 0;
  }

  #tidy(line: Line<Item>): void {
    line.items = line.items.slice(line.head);
    line.head = 0;
    for (const [index, item] of line.items.entries()) if (item) this.#places.set(item, index);
  }
}

function first<Item>({ items, head }: Line<Item>): Item | undefined {
  return items[head];
}
