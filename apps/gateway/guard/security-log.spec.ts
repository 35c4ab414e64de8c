/** Abuse is written down, a flood of it is counted. */
import { describe, expect, it } from '@jest/globals';
import { SecurityLog } from './security-log.js';

describe('security log', () => {
  function open() {
    const lines: object[] = [];
    const clock = { now: 0 };
    return { lines, clock, log: new SecurityLog({ event: (_level, _message, facts) => void lines.push(facts) }, () => clock.now) };
  }
  const facts = (caller: string) => ({ caller, address: '203.0.113.9', reason: 'r'.repeat(1_000), path: '/models' });

  it('one caller: a few lines, then one now and then that says how many were left out', () => {
    const { lines, clock, log } = open();
    for (let i = 0; i < 1_000; i++) log.report('unauthorized', facts('address:1'));
    expect(lines).toHaveLength(3);
    clock.now = 10_000;
    log.report('unauthorized', facts('address:1'));
    expect(lines.at(-1)).toMatchObject({ security: 'unauthorized', suppressed: 997 });
    expect(log.counts.unauthorized).toBe(1_001);
  });

  it('many callers: a minute takes a bounded number of bounded lines', () => {
    const { lines, clock, log } = open();
    for (let i = 0; i < 100_000; i++) {
      clock.now = i * 0.6;
      log.report('too_many_requests', facts(`address:${i}`));
    }
    expect(lines.length).toBeLessThanOrEqual(121);
    for (const line of lines) expect(JSON.stringify(line).length).toBeLessThan(500);
  });
});
