/** Who is interested in a subject: a trie over subject tokens, so that a publish never scans all subscriptions. Delivery is exchange.ts's business. */
import { ANY_REST, ANY_TOKEN, hasWildcard, SEPARATOR } from './subject.js';

/** What the index needs to know of a subscription. */
export interface Interest {
  /** May hold wildcards; valid by isValidSubject. */
  readonly subject: string;
  /** Members of one group share the messages: each goes to one of them. */
  readonly queue: string | undefined;
}

/** The subscriptions a subject reaches. Never changed once handed out: a later subscription makes a new one. */
export interface Match<T> {
  readonly plain: readonly T[];
  /** One list of members per queue group; groups of the same name on different patterns are one group, as in nats-server. */
  readonly groups: readonly (readonly T[])[];
}

interface Node<T> {
  readonly plain: Set<T>;
  readonly groups: Map<string, Set<T>>;
  readonly children: Map<string, Node<T>>;
}

/** Match results kept, in subjects. Reply inboxes are used once each, so past this the whole cache is dropped rather than ranked. */
const MAX_CACHED_SUBJECTS = 4096;
/** Subscriptions named in all match results kept: wide fan-out on many subjects must not multiply into memory. */
const MAX_CACHED_INTERESTS = 262_144;

const NOBODY: Match<never> = { plain: [], groups: [] };

function createNode<T>(): Node<T> {
  return { plain: new Set(), groups: new Map(), children: new Map() };
}

export class InterestIndex<T extends Interest> {
  readonly #root = createNode<T>();
  readonly #cache = new Map<string, Match<T>>();
  #cachedInterests = 0;
  #size = 0;

  /** Subscriptions held. */
  get size(): number {
    return this.#size;
  }

  /** Adds a subscription; adding the same object twice changes nothing. */
  add(interest: T): void {
    let node = this.#root;
    for (const token of interest.subject.split(SEPARATOR)) {
      let child = node.children.get(token);
      if (child === undefined) {
        child = createNode();
        node.children.set(token, child);
      }
      node = child;
    }
    const members = interest.queue === undefined ? node.plain : groupOf(node, interest.queue);
    if (members.has(interest)) return;
    members.add(interest);
    this.#size += 1;
    this.#forget(interest.subject);
  }

  /** Removes a subscription and the branches that only it kept; answers whether it was there. */
  remove(interest: T): boolean {
    const tokens = interest.subject.split(SEPARATOR);
    const path = [this.#root];
    let node = this.#root;
    for (const token of tokens) {
      const child = node.children.get(token);
      if (child === undefined) return false;
      path.push(child);
      node = child;
    }
    if (!leave(node, interest)) return false;
    this.#size -= 1;
    for (let depth = tokens.length; depth > 0; depth -= 1) {
      const current = path[depth];
      const token = tokens[depth - 1];
      if (current === undefined || token === undefined || !isBare(current)) break;
      path[depth - 1]?.children.delete(token);
    }
    this.#forget(interest.subject);
    return true;
  }

  /** Everyone a message on this subject reaches. A subject with an empty token reaches nobody. */
  match(subject: string): Match<T> {
    const known = this.#cache.get(subject);
    if (known !== undefined) return known;
    const found = this.#find(subject.split(SEPARATOR));
    const width = widthOf(found);
    if (this.#cache.size >= MAX_CACHED_SUBJECTS || this.#cachedInterests + width > MAX_CACHED_INTERESTS) this.#forgetAll();
    this.#cache.set(subject, found);
    this.#cachedInterests += width;
    return found;
  }

  #find(tokens: readonly string[]): Match<T> {
    if (tokens.includes('')) return NOBODY;
    const plain: T[] = [];
    const groups = new Map<string, T[]>();
    const take = (node: Node<T>): void => {
      for (const interest of node.plain) plain.push(interest);
      for (const [name, members] of node.groups) {
        const group = groups.get(name);
        if (group === undefined) groups.set(name, [...members]);
        else for (const member of members) group.push(member);
      }
    };
    const walk = (node: Node<T>, depth: number): void => {
      const token = tokens[depth];
      if (token === undefined) {
        take(node);
        return;
      }
      const rest = node.children.get(ANY_REST);
      if (rest !== undefined) take(rest);
      const any = node.children.get(ANY_TOKEN);
      if (any !== undefined) walk(any, depth + 1);
      // A published token that is itself a wildcard character was served by the two branches above.
      if (token === ANY_TOKEN || token === ANY_REST) return;
      const child = node.children.get(token);
      if (child !== undefined) walk(child, depth + 1);
    };
    walk(this.#root, 0);
    return plain.length === 0 && groups.size === 0 ? NOBODY : { plain, groups: [...groups.values()] };
  }

  /** A literal subscription can change one cached subject only; a wildcard one might change any. */
  #forget(subject: string): void {
    if (hasWildcard(subject)) {
      this.#forgetAll();
      return;
    }
    const known = this.#cache.get(subject);
    if (known === undefined) return;
    this.#cache.delete(subject);
    this.#cachedInterests -= widthOf(known);
  }

  #forgetAll(): void {
    this.#cache.clear();
    this.#cachedInterests = 0;
  }
}

function groupOf<T>(node: Node<T>, queue: string): Set<T> {
  let members = node.groups.get(queue);
  if (members === undefined) {
    members = new Set();
    node.groups.set(queue, members);
  }
  return members;
}

function leave<T extends Interest>(node: Node<T>, interest: T): boolean {
  if (interest.queue === undefined) return node.plain.delete(interest);
  const members = node.groups.get(interest.queue);
  if (members === undefined || !members.delete(interest)) return false;
  if (members.size === 0) node.groups.delete(interest.queue);
  return true;
}

function widthOf<T>(match: Match<T>): number {
  return match.groups.reduce((sum, group) => sum + group.length, match.plain.length);
}

function isBare<T>(node: Node<T>): boolean {
  return node.plain.size === 0 && node.groups.size === 0 && node.children.size === 0;
}
