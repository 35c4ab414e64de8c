/** Deadlines while memory is collected: the collector is called by hand. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from '@jest/globals';
import { withDeadline } from './with-deadline.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Listens as a request does: nobody holds the signal itself. */
function aborted(signal: AbortSignal): Promise<string> {
  return once(signal, 'abort').then(([event]) => ((event as Event).target as AbortSignal).reason.name);
}

it.each([
  ['alone', undefined],
  ["beside a caller's signal", new AbortController().signal],
  ["beside a deadline", withDeadline(undefined, 60_000)],
])('a deadline %s: fires although memory was collected before', async (_, signal) => {
  const reasons = Promise.all(Array.from({ length: 20 }, () => aborted(withDeadline(signal, 150))));
  for (let round = 0; round < 5; round++) {
    await sleep(10);
    collect();
  }
  expect(new Set(await reasons)).toEqual(new Set(['TimeoutError']));
});

it("the caller's signal: comes through with its reason", async () => {
  const caller = new AbortController();
  const reason = aborted(withDeadline(caller.signal, 60_000));
  collect();
  caller.abort(new DOMException('enough', 'AbortError'));
  expect(await reason).toBe('AbortError');
});
