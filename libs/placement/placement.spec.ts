/** Nodes by their own word: those that fall silent or fail what they are given get nothing, until they have proved themselves. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { MeshError, type NodeStatus } from '#contracts';
import { Placement, isWorthAnotherNode } from './placement.js';

const status = (node: string, models: string[] = ['a:latest']): NodeStatus => ({
  node, engine: 'ready', parallel: 1, running: 0, waiting: 0, models: models.map((name) => ({ name, state: 'on-disk', running: 0, waiting: 0 })),
});
let now = 1_000_000;
let clock: { mockRestore(): void };
let placement: Placement;

beforeEach(() => {
  clock = jest.spyOn(Date, 'now').mockImplementation(() => now);
  placement = new Placement('own', () => now);
  for (const node of ['own', 'other']) placement.take(status(node));
});
afterEach(() => clock.mockRestore());

const fails = (node: string, error = new MeshError('engine_unavailable', 'It broke.')) =>
  placement.attempt(node, () => Promise.reject(error), () => Promise.resolve()).catch((thrown: unknown) => thrown);
const works = (node: string) => placement.attempt(node, () => Promise.resolve('started'), () => Promise.resolve());
const chosen = (tried: string[] = []) => placement.choose('A:latest', new Set(tried))?.node;
const again = () => ['own', 'other'].forEach((node) => placement.take(status(node)));

describe('placement', () => {
  it('names: compared as models are, and any node will do for a request that leaves the model open', () => {
    placement.take(status('own', ['b:latest']));
    expect(chosen()).toBe('other');
    expect(placement.choose(undefined)?.node).toBe('own');
  });

  it('silence: a node that has not been heard of for a while is gone', () => {
    now += 4_000;
    placement.take(status('other'));
    now += 4_000;
    expect([chosen(), placement.nodes.map(({ node }) => node)]).toEqual(['other', ['other']]);
    now += 10_000;
    expect(chosen()).toBeUndefined();
  });

  it.each([
    ['an engine that is away', new MeshError('engine_unavailable', 'x')],
    ['a 5xx, however fast it comes', new MeshError('engine_error', 'x', { details: { status: 500 } })],
    ['no answer', new MeshError('unavailable', 'x')],
  ])('breaker: %s leaves the node out after three of them; then one request is its probe', async (_what, error) => {
    for (let times = 0; times < 2; times++) await fails('own', error);
    expect(chosen()).toBe('own');
    await fails('own', error);
    expect([chosen(), placement.isLeftOut('own')]).toEqual(['other', true]);
    now += 10_001;
    again();
    expect(chosen()).toBe('own');
    let settle: () => void = () => undefined;
    await placement.attempt('own', () => Promise.resolve(), () => new Promise<void>((resolve) => (settle = resolve)));
    expect(chosen()).toBe('other'); // While it is probed the others go elsewhere.
    settle();
    await new Promise((resolve) => setImmediate(resolve));
    expect(chosen()).toBe('own');
  });

  it('breaker: a probe that fails leaves it out for as long again', async () => {
    for (let times = 0; times < 3; times++) await fails('own');
    now += 10_001;
    again();
    await fails('own');
    expect(chosen()).toBe('other');
    now += 9_000;
    again();
    expect(chosen()).toBe('other');
    now += 2_000;
    again();
    expect(chosen()).toBe('own');
  });

  it('breaker: where there is no other node, one that fails is asked all the same', async () => {
    const alone = new Placement('own', () => now);
    alone.take(status('own'));
    for (let times = 0; times < 5; times++) {
      await alone.attempt('own', () => Promise.reject(new MeshError('engine_unavailable', 'x')), () => Promise.resolve()).catch(() => undefined);
    }
    expect([alone.isLeftOut('own'), alone.choose('a:latest')?.node]).toEqual([true, 'own']);
    expect(await alone.attempt('own', () => Promise.resolve('started'), () => Promise.resolve())).toBe('started');
  });

  it('breaker: a stream that fails soon after its start counts too', async () => {
    for (let times = 0; times < 3; times++) {
      expect(await placement.attempt('own', () => Promise.resolve('started'), () => Promise.reject(new MeshError('engine_eof', 'x')))).toBe('started');
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(chosen()).toBe('other');
  });

  it.each(['invalid_request', 'model_not_found', 'cancelled', 'too_many_requests'] as const)('breaker: %s is not the node’s fault', async (code) => {
    for (let times = 0; times < 5; times++) await fails('own', new MeshError(code, 'x'));
    expect(chosen()).toBe('own');
    await works('own');
  });

  it('another node: is worth it for what one node refuses, not for what is wrong with the request', () => {
    const worth = (code: ConstructorParameters<typeof MeshError>[0], details = {}) => isWorthAnotherNode(new MeshError(code, 'x', { details }));
    expect([worth('too_many_requests'), worth('model_not_found'), worth('engine_unavailable'), worth('engine_error', { status: 502 })]).toEqual([true, true, true, true]);
    expect([worth('invalid_request'), worth('cancelled'), worth('engine_error', { status: 422 })]).toEqual([false, false, false]);
  });
});
