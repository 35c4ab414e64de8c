/**
 * Whose turn it is on one engine: fair between clients, bounded, and so that models are not loaded in turns. Pure and without a
 * clock of its own; turns.ts owns timers and the engine.
 */
import { type Occupant, chooseEvicted } from './evict.js';
import { FairQueue } from './fair-queue.js';

export interface ScheduleLimits {
  /** Requests that one model answers at once. */
  readonly parallel: number;
  /** Models in memory at once. */
  readonly maxResident: number;
  /** Requests that may wait; one client may hold half of them. */
  readonly queueLength: number;
  /** How long requests for models in memory go before one that another model waits for, in milliseconds. */
  readonly switchAfterMs: number;
}

export interface Ticket {
  readonly client: string;
  /** The model's key. */
  readonly model: string;
  readonly arrivedAt: number;
}

export type Step<T> = { readonly start: T } | { readonly evict: string };

interface Lane<T extends Ticket> {
  readonly queue: FairQueue<T>;
  running: number;
  lastUsedAt: number;
  /** Since when it has been in memory, or counts as such. */
  residentSince: number | undefined;
  evicting: boolean;
}

export class Schedule<T extends Ticket> {
  readonly #lanes = new Map<string, Lane<T>>();
  readonly #limits: ScheduleLimits;
  readonly #isWarm: (model: string) => boolean;
  #waiting = 0;

  constructor(limits: ScheduleLimits, isWarm: (model: string) => boolean = () => false) {
    this.#limits = limits;
    this.#isWarm = isWarm;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get running(): number {
    let running = 0;
    for (const lane of this.#lanes.values()) running += lane.running;
    return running;
  }

  runningOf(model: string): number {
    return this.#lanes.get(model)?.running ?? 0;
  }

  waitingOf(model: string): number {
    return this.#lanes.get(model)?.queue.size ?? 0;
  }

  /** Why one more request of `client` can't wait; undefined where it can. */
  refusal(client: string): 'full' | 'too many of this client' | undefined {
    if (this.#waiting >= this.#limits.queueLength) return 'full';
    let own = 0;
    for (const { queue } of this.#lanes.values()) own += queue.sizeOf(client);
    return own >= Math.ceil(this.#limits.queueLength / 2) ? 'too many of this client' : undefined;
  }

  /** It waits from now on; `next` says when its turn has come. */
  arrive(ticket: T): void {
    this.#lane(ticket.model).queue.add(ticket);
    this.#waiting++;
  }

  waits(ticket: T): boolean {
    return this.#lanes.get(ticket.model)?.queue.has(ticket) ?? false;
  }

  /** One that waits gives up. No effect on one that does not. */
  leave(ticket: T): void {
    if (this.#lanes.get(ticket.model)?.queue.remove(ticket)) this.#waiting--;
  }

  /** One that had been started is answered. */
  finish(ticket: T, now: number): void {
    const lane = this.#lane(ticket.model);
    lane.running--;
    lane.lastUsedAt = now;
  }

  /** What is in memory, by the engine's word; a model that answers is, whatever it says. */
  observe(resident: ReadonlySet<string>, now: number): void {
    for (const model of resident) {
      const lane = this.#lane(model);
      lane.residentSince ??= now;
    }
    for (const [model, lane] of this.#lanes) {
      if (resident.has(model)) continue;
      if (lane.running === 0) lane.residentSince = undefined;
      lane.evicting = false;
      if (lane.running === 0 && lane.queue.size === 0) this.#lanes.delete(model);
    }
  }

  /** Making room did not work: the model is in memory still. */
  notEvicted(model: string): void {
    const lane = this.#lanes.get(model);
    if (lane) lane.evicting = false;
  }

  /** How many of the same model would go before one that `client` sends now. */
  aheadOfNext(model: string, client: string): number {
    return this.#lanes.get(model)?.queue.aheadOfNext(client) ?? 0;
  }

  /** What to do now; each step has been taken into account when it is told. */
  next(now: number): Step<T>[] {
    const steps: Step<T>[] = [];
    for (const lane of this.#byAge()) {
      while (this.#mayStart(lane, now)) {
        const ticket = lane.queue.take();
        if (!ticket) break;
        this.#waiting--;
        lane.running++;
        lane.lastUsedAt = now;
        lane.residentSince ??= now;
        steps.push({ start: ticket });
      }
      if (lane.queue.size === 0 || lane.residentSince !== undefined) continue;
      const evict = this.#makeRoom(lane, now);
      if (evict !== undefined) steps.push({ evict });
    }
    return steps;
  }

  /** When to ask again although nothing has happened: a model that is in memory will have had its time then. */
  nextDueAt(now: number): number | undefined {
    let due: number | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.queue.size === 0 || lane.residentSince !== undefined) continue;
      for (const other of this.#lanes.values()) {
        if (other.residentSince === undefined) continue;
        const at = Math.max(lane.queue.peek()?.arrivedAt ?? now, other.residentSince) + this.#limits.switchAfterMs;
        if (at > now && (due === undefined || at < due)) due = at;
      }
    }
    return due;
  }

  /** Everyone who waits, with how many of the same model go before; at most `limit` of each model. */
  *positions(limit: number): Generator<[ticket: T, ahead: number]> {
    for (const { queue } of this.#lanes.values()) {
      let ahead = 0;
      for (const ticket of queue.inOrder()) {
        if (ahead >= limit) break;
        yield [ticket, ahead++];
      }
    }
  }

  #lane(model: string): Lane<T> {
    let lane = this.#lanes.get(model);
    if (!lane) {
      lane = { queue: new FairQueue<T>(), running: 0, lastUsedAt: -Infinity, residentSince: undefined, evicting: false };
      this.#lanes.set(model, lane);
    }
    return lane;
  }

  /** The model whose next request has waited longest comes first, so that none is passed over when there is room for one more. */
  #byAge(): Lane<T>[] {
    return [...this.#lanes.values()].filter(({ queue }) => queue.size > 0).toSorted((a, b) => (a.queue.peek()?.arrivedAt ?? 0) - (b.queue.peek()?.arrivedAt ?? 0));
  }

  #mayStart(lane: Lane<T>, now: number): boolean {
    if (lane.queue.size === 0 || lane.running >= this.#limits.parallel || lane.evicting) return false;
    if (lane.residentSince === undefined) return this.#residents() < this.#limits.maxResident;
    return !this.#mustYield(lane, now);
  }

  /** True for a model in memory that has had its time, while another waits for its room and none goes by itself. */
  #mustYield(lane: Lane<T>, now: number): boolean {
    if (this.#residents() < this.#limits.maxResident) return false;
    const overdue = [...this.#lanes.values()].some((other) => other.residentSince === undefined && this.#isOverdue(other, lane, now));
    if (!overdue) return false;
    const others = [...this.#lanes.values()].filter((other) => other !== lane && other.residentSince !== undefined);
    return !others.some((other) => other.evicting || other.queue.size === 0 || (other.residentSince ?? 0) < (lane.residentSince ?? 0));
  }

  #isOverdue(waiting: Lane<T>, resident: Pick<Lane<T>, 'residentSince'>, now: number): boolean {
    const oldest = waiting.queue.peek();
    return oldest !== undefined && Math.max(oldest.arrivedAt, resident.residentSince ?? -Infinity) + this.#limits.switchAfterMs <= now;
  }

  #makeRoom(lane: Lane<T>, now: number): string | undefined {
    const residents = [...this.#lanes].filter(([, { residentSince }]) => residentSince !== undefined);
    if (residents.length < this.#limits.maxResident || residents.some(([, { evicting }]) => evicting)) return undefined;
    const occupants = residents.map(([model, other]): Occupant => ({
      model, running: other.running, waiting: other.queue.size, lastUsedAt: other.lastUsedAt, since: other.residentSince ?? now, warm: this.#isWarm(model),
    }));
    const evict = chooseEvicted(occupants, ({ since }) => this.#isOverdue(lane, { residentSince: since }, now));
    const evicted = evict === undefined ? undefined : this.#lanes.get(evict);
    if (evicted) evicted.evicting = true;
    return evict;
  }

  #residents(): number {
    let count = 0;
    for (const { residentSince } of this.#lanes.values()) if (residentSince !== undefined) count++;
    return count;
  }
}
