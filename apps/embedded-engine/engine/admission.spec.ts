/** The queue: slots, order, its bound, and places freed by clients that leave. */
import { describe, expect, it } from '@jest/globals';
import { ApiError } from '#ollama-wire';
import { Gone } from '../errors.js';
import { Admission } from './admission.js';

const here = new AbortController().signal;

/** Enters and notes when it was admitted. */
function enter(admission: Admission, order: string[], name: string, gone = here, lane = 'a') {
  return admission.enter(lane, gone).then((leave) => {
    order.push(name);
    return leave;
  });
}

describe('admission', () => {
  it('order: first come, first served, one per slot', async () => {
    const admission = new Admission(1, 10);
    const order: string[] = [];
    const first = await enter(admission, order, '1');
    const second = enter(admission, order, '2');
    const third = enter(admission, order, '3');
    expect(admission.waiting).toBe(2);
    first();
    first();
    (await second)();
    (await third)();
    expect(order).toEqual(['1', '2', '3']);
    expect([admission.waiting, admission.running('a')]).toEqual([0, 0]);
  });

  it('lanes: one model does not wait for another', async () => {
    const admission = new Admission(1, 0);
    await admission.enter('a', here);
    await expect(admission.enter('b', here)).resolves.toBeInstanceOf(Function);
  });

  it('bound: one more than may wait is refused at once, over all lanes', async () => {
    const admission = new Admission(1, 1);
    await admission.enter('a', here);
    await admission.enter('b', here);
    void admission.enter('a', here);
    await expect(admission.enter('b', here)).rejects.toEqual(new ApiError(503, 'server busy, please try again.  maximum pending requests exceeded'));
  });

  it('leaving: frees the place in the queue, and the next is served', async () => {
    const admission = new Admission(1, 2);
    const order: string[] = [];
    const first = await enter(admission, order, '1');
    const client = new AbortController();
    const second = enter(admission, order, '2', client.signal);
    const third = enter(admission, order, '3');
    client.abort();
    await expect(second).rejects.toBeInstanceOf(Gone);
    expect(admission.waiting).toBe(1);
    first();
    await third;
    expect(order).toEqual(['1', '3']);
  });

  it('leaving: a client that has gone already takes no slot', async () => {
    const admission = new Admission(1, 0);
    await expect(admission.enter('a', AbortSignal.abort())).rejects.toBeInstanceOf(Gone);
    expect(admission.running('a')).toBe(0);
  });
});
