/** What a session does on its own account: time limits, bounds, hanging up. What it says to operations is the conformance suite's business. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MemoryLink } from '../../test/conformance/support/memory-link.js';
import { createTokenCheck } from './connect-options.js';
import { Exchange } from './exchange.js';
import { type BrokerOptions, resolveLimits } from './options.js';
import { Session } from './session.js';

interface Client { session: Session; link: MemoryLink; say(text: string): string }

const opened: Session[] = [];
afterEach(() => {
  for (const session of opened.splice(0)) session.release();
});

function createHost(options: BrokerOptions = {}) {
  const refused: string[] = [];
  const slow: number[] = [];
  const exchange = new Exchange();
  const host = {
    exchange, limits: resolveLimits(options), checkToken: options.token === undefined ? undefined : createTokenCheck(options.token),
    onRefused: (_: unknown, message: string) => { refused.push(message); },
    onSlowConsumer: ({ pendingBytes }: { pendingBytes: number }) => { slow.push(pendingBytes); },
  };
  const open = (connect = 'CONNECT {"verbose":false,"pedantic":false}\r\n'): Client => {
    const link = new MemoryLink();
    const session = new Session(opened.length + 1, link, host, '{}');
    opened.push(session);
    const say = (text: string): string => {
      session.receive(Buffer.from(text, 'latin1'));
      exchange.flush();
      return link.take();
    };
    say(connect);
    return { session, link, say };
  };
  return { open, exchange, refused, slow };
}

describe('session', () => {
  it('ping: an answered one keeps the connection, unanswered ones end it', async () => {
    const { open } = createHost({ pingIntervalMs: 40, maxPingsOut: 2 });
    const [lively, dead] = [open(), open()];
    const deadline = Date.now() + 5000;
    while (dead.link.ended === 'no' && Date.now() < deadline) {
      await sleep(10);
      if (lively.link.take().includes('PING')) lively.say('PONG\r\n');
    }
    expect([dead.link.ended, lively.link.ended]).toEqual(['politely', 'no']);
    expect(dead.link.take()).toBe("PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
  });

  it('token: late after a pause of the whole process is not too late', async () => {
    const { open } = createHost({ token: 't', authTimeoutMs: 30 });
    const client = open('');
    // Read right after the pause, as a socket would be: timers run first, then what has arrived.
    setTimeout(() => setImmediate(() => undefined), 0);
    const until = Date.now() + 60;
    while (Date.now() < until);
    client.say('CONNECT {"auth_token":"t","verbose":false}\r\n');
    await sleep(50);
    expect([client.link.ended, client.say('PING\r\n')]).toEqual(['no', 'PONG\r\n']);
  });

  it('token: nothing is obeyed after a wrong one', () => {
    const { open, exchange, refused } = createHost({ token: 't' });
    const client = open('CONNECT {"auth_token":"x"}\r\nSUB > 1\r\nPUB a 1\r\nx\r\n');
    expect([client.link.ended, exchange.subscriptions, exchange.traffic.inMsgs]).toEqual(['politely', 0, 0]);
    expect(refused).toEqual(['Authorization Violation']);
  });

  it('token: a second CONNECT with a wrong one ends the connection', () => {
    const { open } = createHost({ token: 't' });
    const client = open('CONNECT {"auth_token":"t","verbose":false}\r\n');
    expect(client.say('CONNECT {"verbose":true}\r\nPING\r\n')).toBe('+OK\r\nPONG\r\n');
    expect(client.say('CONNECT {"auth_token":"x"}\r\nPING\r\n')).toBe("-ERR 'Authorization Violation'\r\n");
  });

  it('slow consumer: is cut off at the bound, loses its subscriptions, and others get everything', () => {
    const { open, exchange, slow } = createHost({ maxPending: 10_000 });
    const [stuck, reader, publisher] = [open(), open(), open()];
    stuck.say('SUB a 1\r\n');
    reader.say('SUB a 1\r\n');
    stuck.link.stuck = true;
    let read = '';
    for (let index = 0; index < 30; index += 1) {
      publisher.say(`PUB a 1000\r\n${'x'.repeat(1000)}\r\n`);
      read += reader.link.take();
    }
    expect(stuck.link.ended).toBe('at once');
    expect(stuck.link.buffered).toBeLessThanOrEqual(10_000);
    expect(read.split('MSG').length - 1).toBe(30);
    expect([exchange.subscriptions, exchange.traffic.slowConsumers, slow.length]).toEqual([1, 1, 1]);
    expect(slow[0]).toBeGreaterThan(10_000);
  });

  it('slow consumer: a client that floods itself with PONGs is bounded too', () => {
    const { open, slow } = createHost({ maxPending: 1000 });
    const client = open();
    client.link.stuck = true;
    client.session.receive(Buffer.from('PING\r\n'.repeat(10_000)));
    expect([client.link.ended, slow.length]).toEqual(['at once', 1]);
  });

  it('slow publisher: one whose receivers lag is held back for a moment, then read again', async () => {
    const { open } = createHost({ maxPending: 10_000 });
    const [lagging, publisher] = [open(), open()];
    lagging.say('SUB a 1\r\n');
    lagging.link.stuck = true;
    publisher.say(`PUB a 2000\r\n${'x'.repeat(2000)}\r\n`);
    expect(publisher.link.paused).toBe(false);
    publisher.say(`PUB a 4000\r\n${'x'.repeat(4000)}\r\n`);
    expect(publisher.link.paused).toBe(true);
    await sleep(50);
    expect(publisher.link.paused).toBe(false);
  });

  it('slow publisher: one that ends while held back is read again, or its hanging up would never be seen', () => {
    const { open } = createHost({ maxPending: 10_000 });
    const [lagging, publisher] = [open(), open()];
    lagging.say('SUB a 1\r\n');
    lagging.link.stuck = true;
    publisher.say(`PUB a 6000\r\n${'x'.repeat(6000)}\r\nFOO\r\n`);
    expect([publisher.link.ended, publisher.link.paused]).toEqual(['politely', false]);
  });

  it('subscriptions: past the limit are refused and the connection lives on', () => {
    const { open, exchange } = createHost({ maxSubscriptionsPerConnection: 2 });
    const client = open();
    expect(client.say('SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nUNSUB 1\r\nSUB c 3\r\n')).toBe("-ERR 'maximum subscriptions exceeded'\r\n");
    expect(exchange.subscriptions).toBe(2);
  });

  it('subscriptions: one that reached its maximum leaves its sid and its place free', () => {
    const { open, exchange } = createHost({ maxSubscriptionsPerConnection: 1 });
    const client = open();
    client.say('SUB a 1\r\nUNSUB 1 1\r\nPUB a 1\r\nx\r\n');
    expect(exchange.subscriptions).toBe(0);
    expect(client.say('SUB b 1\r\nPUB b 1\r\ny\r\n')).toBe('MSG b 1 1\r\ny\r\n');
  });

  it('end: nothing is delivered to a session that is ending, and its queue group goes on without it', () => {
    const { open } = createHost();
    const [ending, staying, publisher] = [open(), open(), open()];
    ending.say('SUB a q 1\r\n');
    staying.say('SUB a q 1\r\n');
    ending.session.end();
    const heard = Array.from({ length: 20 }, () => { publisher.say('PUB a 1\r\nx\r\n'); return staying.link.take(); });
    expect(new Set(heard)).toEqual(new Set(['MSG a 1 1\r\nx\r\n']));
    expect(ending.link.take()).toBe('');
  });

  it('queue: a member that does not want its own message leaves it to another', () => {
    const { open } = createHost();
    const [quiet, other] = [open('CONNECT {"verbose":false,"echo":false}\r\n'), open()];
    quiet.say('SUB a q 1\r\n');
    other.say('SUB a q 1\r\n');
    const heard = Array.from({ length: 20 }, () => { quiet.say('PUB a 1\r\nx\r\n'); return other.link.take(); });
    expect(new Set(heard)).toEqual(new Set(['MSG a 1 1\r\nx\r\n']));
  });

  it('writes: everything one tick brings is one write', async () => {
    const { open } = createHost();
    const client = open();
    const writes: number[] = [];
    const write = client.link.write.bind(client.link);
    client.link.write = (buffers) => { writes.push(buffers.length); write(buffers); };
    client.session.receive(Buffer.from('SUB a 1\r\n'));
    for (let index = 0; index < 50; index += 1) client.session.receive(Buffer.from('PUB a 1\r\nx\r\n'));
    await sleep(5);
    expect(writes).toEqual([1]);
  });
});
