/** keep_alive comes as numbers and as Go durations; both are read to the millisecond and refused with Go's words. */
import { describe, expect, it } from '@jest/globals';
import { FOR_EVER, expiryDate, parseKeepAlive } from './keep-alive.js';

describe('keep-alive', () => {
  it.each([
    [0, 0], [30, 30_000], [1.5, 1_500], [-1, FOR_EVER], [-0.5, FOR_EVER], ['5m', 300_000], ['1h30m', 5_400_000], ['1.5s', 1_500], ['250ms', 250],
    ['-1s', FOR_EVER], ['-1m', FOR_EVER], ['0', 0], ['0s', 0], ['+2s', 2_000], ['.5s', 500],
  ])('value %j is %j ms', (value, ms) => {
    expect(parseKeepAlive(value)).toEqual({ ms });
  });

  it.each([
    ['5', 'time: missing unit in duration "5"'],
    ['', 'time: invalid duration ""'],
    ['soon', 'time: invalid duration "soon"'],
    ['5 m', 'time: unknown unit " m" in duration "5 m"'],
    ['1constructor', 'time: unknown unit "constructor" in duration "1constructor"'],
  ])('error: %j', (value, error) => {
    expect(parseKeepAlive(value)).toEqual({ error });
  });

  it('error: neither number nor text', () => {
    expect(parseKeepAlive(true)).toHaveProperty('error');
    expect(parseKeepAlive({})).toHaveProperty('error');
  });

  it('expiry: for ever is a date that can be written', () => {
    expect(expiryDate(FOR_EVER, Date.UTC(2026, 10, 21)).getUTCFullYear()).toBe(2319);
    expect(expiryDate(5_000, 1_000).getTime()).toBe(6_000);
  });
});
