/** Checks hang, throw and fail without disturbing each other. */
import { describe, expect, it } from '@jest/globals';
import { plain } from '../view/style.js';
import { doctorView } from '../view/doctor-view.js';
import { type Check, blocks, runChecks } from './check.js';

const fine: Check = { name: 'fine', run: async () => ({ state: 'ok', detail: 'It is.' }) };
const several: Check = { name: 'several', run: async () => [{ state: 'ok', detail: 'One.' }, { state: 'fail', detail: 'Two.', next: 'do that' }] };
const throwing: Check = { name: 'throwing', run: () => Promise.reject(new Error('oops')) };

describe('checks', () => {
  it('results: come in order, each with its name', async () => {
    expect((await runChecks([several, fine], 1_000)).map(({ name, state }) => [name, state])).toEqual([['several', 'ok'], ['several', 'fail'], ['fine', 'ok']]);
  });

  it('one that hangs: is given up and told to stop', async () => {
    let told = false;
    const hanging: Check = {
      name: 'hanging',
      run: (signal) => {
        signal.addEventListener('abort', () => (told = true));
        return new Promise(() => {});
      },
    };
    expect(await runChecks([hanging, fine], 50)).toMatchObject([{ name: 'hanging', state: 'warn' }, { name: 'fine', state: 'ok' }]);
    expect(told).toBe(true);
  });

  it('one that throws: is reported, and blocks nothing', async () => {
    const results = await runChecks([throwing, fine], 1_000);
    expect(results[0]).toMatchObject({ state: 'warn', detail: expect.stringContaining('oops'), next: expect.any(String) });
    expect(blocks(results)).toBe(false);
    expect(blocks(await runChecks([several], 1_000))).toBe(true);
  });

  it('view: a line each, the next step below, and the sum', async () => {
    expect(doctorView(await runChecks([fine, several], 1_000), plain)).toEqual(['  ✓ fine     It is.', '  ✓ several  One.', '  ✗ several  Two.', '             → do that', '', '  1 problem stands in the way.']);
    expect(doctorView(await runChecks([fine], 1_000), plain).at(-1)).toBe('  Nothing stands in the way.');
  });
});
