/** Ten thousand requests on a clock of the test's: nobody waits much more than a fair share, models are not loaded in turns, and nobody is forgotten. */
import { describe, expect, it } from '@jest/globals';
import { createRandom } from '../../../test/conformance/support/random.js';
import { Schedule, type Ticket } from './schedule.js';

const SEED = Number(process.env['OLLAMESH_TEST_SEED'] ?? Date.now() % 1_000_000);
const ARRIVALS = 10_000;
/** How many times a fair share of turns anyone may wait. */
const K = 2;
const PARALLEL = 4;

interface Request extends Ticket {
  readonly workMs: number;
  startedAt?: number;
  /** Turns that others had, and requests of its own client that were before it. */
  ownAhead: number;
  startsBefore: number;
  /** Clients that waited too, summed over the turns it waited for. */
  rivals: number;
}

interface Queue {
  arrive(request: Request, now: number): void;
  finish(request: Request, now: number): void;
  next(now: number): Request[];
}

/** Clients of very different appetite; the greediest sends half of everything, in bursts. */
function arrivals(models: readonly string[], count = ARRIVALS): Request[] {
  const random = createRandom(SEED, 7);
  const requests: Request[] = [];
  let now = 0;
  while (requests.length < count) {
    const greedy = random.below(100) < 4;
    const client = greedy ? 'greedy' : `client ${random.below(30)}`;
    const burst = greedy ? 1 + random.below(200) : 1 + random.below(3);
    for (let index = 0; index < burst && requests.length < count; index++) {
      requests.push({ client, model: random.pick(models), arrivedAt: now, workMs: 200 + random.below(1_600), ownAhead: 0, startsBefore: 0, rivals: 0 });
    }
    now += random.below(2_000);
  }
  return requests;
}

/** Runs everything to its end. @returns the requests, each with when it started */
function simulate(requests: readonly Request[], queue: Queue): Request[] {
  const waiting = new Set<Request>();
  const running: { request: Request; until: number }[] = [];
  const ownWaiting = new Map<string, number>();
  const coming = [...requests];
  let now = 0;
  while (coming.length > 0 || waiting.size > 0 || running.length > 0) {
    const nextEnd = Math.min(...running.map(({ until }) => until));
    now = Math.max(now, Math.min(coming[0]?.arrivedAt ?? Infinity, nextEnd, now + 500));
    while (coming[0] && coming[0].arrivedAt <= now) {
      const request = coming.shift()!;
      request.ownAhead = ownWaiting.get(request.client) ?? 0;
      ownWaiting.set(request.client, request.ownAhead + 1);
      waiting.add(request);
      queue.arrive(request, now);
    }
    for (const done of running.filter(({ until }) => until <= now)) {
      running.splice(running.indexOf(done), 1);
      queue.finish(done.request, now);
    }
    for (const request of queue.next(now)) {
      request.startedAt = now;
      waiting.delete(request);
      const left = (ownWaiting.get(request.client) ?? 1) - 1;
      if (left > 0) ownWaiting.set(request.client, left);
      else ownWaiting.delete(request.client);
      for (const other of waiting) {
        other.startsBefore++;
        other.rivals += ownWaiting.size;
      }
      running.push({ request, until: now + request.workMs });
    }
  }
  return [...requests];
}

/**
 * The turns someone waited for, as a multiple of its fair share: with so many clients at its side, one turn of each for its own
 * and each of its own before it.
 */
function worst(requests: readonly Request[]): number {
  return Math.max(...requests.map(({ startsBefore, ownAhead, rivals }) => {
    const clients = startsBefore === 0 ? 1 : Math.max(1, rivals / startsBefore);
    return startsBefore / ((ownAhead + 1) * (clients + 1));
  }));
}

function fair(schedule: Schedule<Request>, evictions: string[] = []): Queue {
  const resident = new Set<string>();
  return {
    arrive: (request) => schedule.arrive(request),
    finish: (request, now) => schedule.finish(request, now),
    next(now) {
      const started: Request[] = [];
      for (let again = true; again; ) {
        again = false;
        schedule.observe(resident, now);
        for (const step of schedule.next(now)) {
          if ('start' in step) {
            resident.add(step.start.model);
            started.push(step.start);
          } else {
            expect(schedule.runningOf(step.evict)).toBe(0);
            resident.delete(step.evict);
            evictions.push(step.evict);
            again = true;
          }
        }
      }
      return started;
    },
  };
}

function firstComeFirstServed(parallel: number): Queue {
  const waiting: Request[] = [];
  let running = 0;
  return {
    arrive: (request) => void waiting.push(request),
    finish: () => void running--,
    next() {
      const started = waiting.splice(0, parallel - running);
      running += started.length;
      return started;
    },
  };
}

const limits = { parallel: PARALLEL, maxResident: 1, queueLength: 100_000, switchAfterMs: 5_000 };

describe(`turns (seed ${SEED})`, () => {
  it(`fair: of ${ARRIVALS} requests none waits for more than ${K} times its share of turns; first come, first served does not keep that`, () => {
    const ours = worst(simulate(arrivals(['m']), fair(new Schedule<Request>(limits))));
    const control = worst(simulate(arrivals(['m']), firstComeFirstServed(PARALLEL)));
    console.log(`worst wait, as a multiple of a fair share: ${ours.toFixed(2)}; first come, first served: ${control.toFixed(2)}`);
    expect(ours).toBeLessThanOrEqual(K);
    expect(control).toBeGreaterThan(K);
  });

  it('models: those that take turns in memory are not loaded for every request, and none is forgotten', () => {
    const evictions: string[] = [];
    const requests = simulate(arrivals(['a', 'b', 'c'], 3_000), fair(new Schedule<Request>(limits), evictions));
    const switchesInOrder = requests.filter(({ model }, index) => index > 0 && requests[index - 1]?.model !== model).length;
    expect(requests.every(({ startedAt }) => startedAt !== undefined)).toBe(true);
    expect(evictions.length).toBeGreaterThan(0);
    expect(evictions.length).toBeLessThan(switchesInOrder / 4);
  });

  const ticket = (client: string, model: string, arrivedAt: number): Request => ({ client, model, arrivedAt, workMs: 0, ownAhead: 0, startsBefore: 0, rivals: 0 });
  const starts = (schedule: Schedule<Request>, now: number) => schedule.next(now).map((step) => ('start' in step ? step.start.model : `evict ${step.evict}`));

  it('switch: requests for the model in memory go first until another has waited long enough; then it is drained, and goes', () => {
    const schedule = new Schedule<Request>({ ...limits, parallel: 1 });
    const first = ticket('x', 'a', 0);
    schedule.arrive(first);
    expect(starts(schedule, 0)).toEqual(['a']);
    schedule.arrive(ticket('y', 'b', 10));
    const second = ticket('x', 'a', 20);
    schedule.arrive(second);
    schedule.arrive(ticket('x', 'a', 30));
    schedule.finish(first, 1_000);
    schedule.observe(new Set(['a']), 1_000);
    expect(starts(schedule, 1_000)).toEqual(['a']);
    expect(schedule.nextDueAt(1_000)).toBe(5_010);
    expect(starts(schedule, 5_020)).toEqual([]); // Due, but it answers still.
    schedule.finish(second, 6_000);
    expect(starts(schedule, 6_000)).toEqual(['evict a']);
    expect(starts(schedule, 6_001)).toEqual([]); // Until it is gone nothing is loaded beside it.
    schedule.observe(new Set(), 6_500);
    expect(starts(schedule, 6_500)).toEqual(['b']);
  });

  it('idle: a model that nobody waits for makes room at once', () => {
    const schedule = new Schedule<Request>(limits);
    schedule.observe(new Set(['a']), 0);
    schedule.arrive(ticket('x', 'b', 10));
    expect(starts(schedule, 10)).toEqual(['evict a']);
  });

  it('room: several models at once, each with as many requests as it answers at once', () => {
    const schedule = new Schedule<Request>({ ...limits, parallel: 2, maxResident: 2 });
    for (const model of ['a', 'a', 'a', 'b', 'c']) schedule.arrive(ticket('x', model, 0));
    expect(starts(schedule, 0).sort()).toEqual(['a', 'a', 'b']);
  });

  it('switch: of several models in memory only the one that came first is drained; the others go on, and what waits is still known', () => {
    const schedule = new Schedule<Request>({ ...limits, parallel: 1, maxResident: 2 });
    const [older, younger] = [ticket('x', 'a', 0), ticket('x', 'b', 100)];
    schedule.arrive(older);
    expect(starts(schedule, 50)).toEqual(['a']);
    schedule.arrive(younger);
    expect(starts(schedule, 100)).toEqual(['b']);
    const waiting = ticket('z', 'c', 200);
    schedule.arrive(waiting);
    for (const model of ['a', 'b']) schedule.arrive(ticket('y', model, 300));
    for (const done of [older, younger]) schedule.finish(done, 6_000);
    expect(starts(schedule, 6_000)).toEqual(['evict a', 'b']);
    expect([schedule.waits(waiting), schedule.waits(older), schedule.waits(ticket('z', 'never asked for', 0))]).toEqual([true, false, false]);
  });

  it('bound: the queue is full at its length, and for one client at half of it', () => {
    const schedule = new Schedule<Request>({ ...limits, queueLength: 4 });
    schedule.arrive(ticket('x', 'a', 0));
    schedule.arrive(ticket('x', 'b', 0));
    expect([schedule.refusal('x'), schedule.refusal('y')]).toEqual(['too many of this client', undefined]);
    schedule.arrive(ticket('y', 'a', 0));
    const leaving = ticket('z', 'a', 0);
    schedule.arrive(leaving);
    expect(schedule.refusal('y')).toBe('full');
    schedule.leave(leaving);
    schedule.leave(leaving);
    expect([schedule.refusal('y'), schedule.waiting]).toEqual([undefined, 3]);
  });
});
