/**
 * Throws garbage, half-garbage and valid traffic in arbitrary pieces at the broker and compares every byte that clients get with a naive model.
 * BROKER_FUZZ_SEED repeats a run, BROKER_FUZZ_CASE one case of it.
 */
import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { startBroker } from '#broker';
import { Exchange } from '../../libs/broker/exchange.js';
import { resolveLimits } from '../../libs/broker/options.js';
import { Session, type SessionHost } from '../../libs/broker/session.js';
import { MemoryLink } from './support/memory-link.js';
import { createRandom, type Random } from './support/random.js';
import { RawClient } from './support/raw-client.js';
import { frame, type Message, ModelClient, reaches, readStream } from './support/reference-model.js';
import { cutAnywhere, FUZZ_LIMITS, mutatedStream, noise, validStream } from './support/stream-generator.js';

const SEED = Number(process.env['BROKER_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
const ONLY = process.env['BROKER_FUZZ_CASE'];
const MEMORY_CASES = 100_000;
const SOCKET_CASES = 3000;

const MODERN = 'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n';
const PLAIN = 'CONNECT {"verbose":false,"pedantic":false}\r\n';

/** Well-behaved clients that watch: name, CONNECT, and what they subscribe to. No two subscriptions of one overlap, so the order is fixed. */
const OBSERVERS = [
  { name: 'modern', hello: MODERN, headers: true, subscriptions: [['a.>', '1'], ['*', '2'], ['p.>', '3']] },
  { name: 'plain', hello: PLAIN, headers: false, subscriptions: [['a.b', 'w1'], ['p.*', 'w2']] },
] as const;
const GROUP_PATTERN = 'a.*';
const GROUP_SID = '5';

/** What the observers must have been told. */
class ExpectedLogs {
  readonly #logs = new Map<string, string[]>(OBSERVERS.map(({ name }) => [name, []]));
  #group: string[] = [];

  publish(message: Message): void {
    for (const { name, headers, subscriptions } of OBSERVERS) {
      for (const [pattern, sid] of subscriptions) {
        if (reaches(pattern, message.subject)) this.#logs.get(name)!.push(frame(message, sid, headers));
      }
    }
    if (reaches(GROUP_PATTERN, message.subject)) this.#group.push(frame(message, GROUP_SID, true));
  }

  log(name: string): string {
    return this.#logs.get(name)!.join('');
  }

  get group(): string[] {
    return this.#group;
  }
}

function observersReached({ subject }: Message): number {
  const patterns: string[] = [GROUP_PATTERN, ...OBSERVERS.flatMap(({ subscriptions }) => subscriptions.map(([pattern]) => pattern))];
  return patterns.filter((pattern) => reaches(pattern, subject)).length;
}

function createStream(random: Random, number: number): Buffer {
  if (number % 10 < 4) return validStream(random);
  return number % 10 < 8 ? mutatedStream(random) : noise(random);
}

/** Cuts what a client was told into frames, by the sizes they state. */
function frames(told: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < told.length;) {
    const lineEnd = told.indexOf('\r\n', at) + 2;
    const line = told.slice(at, lineEnd);
    const size = /^H?MSG .* (\d+)\r\n$/.exec(line)?.[1];
    const end = size === undefined ? lineEnd : lineEnd + Number(size) + 2;
    if (lineEnd < 2 || end > told.length) throw new Error(`not a frame: ${JSON.stringify(told.slice(at, at + 200))}`);
    found.push(told.slice(at, end));
    at = end;
  }
  return found;
}

/** Throws unless equal; jest's expect is too slow for this many. */
function same(actual: string, expected: string, what: string): void {
  if (actual !== expected) throw new Error(`${what}\n  got      ${JSON.stringify(actual)}\n  expected ${JSON.stringify(expected)}`);
}

function compareOwn(actual: string, model: ModelClient, openLine: boolean): void {
  // A line that has no end yet may or may not be refused already.
  const told = openLine && !model.closed ? actual.replace(/-ERR 'Unknown Protocol Operation'\r\n$/, '') : actual;
  const parsed = frames(told);
  if (model.ambiguous) return;
  // The frames of one message go to a client's subscriptions in any order.
  if (told !== model.told.join('')) same(parsed.toSorted().join(''), model.told.toSorted().join(''), 'the client itself was told');
}

interface MemoryClient { session: Session; link: MemoryLink }

/** The broker without its sockets. */
function createMemoryBroker() {
  const exchange = new Exchange();
  const host: SessionHost = { exchange, limits: resolveLimits(FUZZ_LIMITS), checkToken: undefined, onRefused: () => undefined, onSlowConsumer: () => undefined };
  let opened = 0;
  const open = (text: string): MemoryClient => {
    const link = new MemoryLink();
    const session = new Session((opened += 1), link, host, '{}');
    session.receive(Buffer.from(text));
    exchange.flush();
    link.take();
    return { session, link };
  };
  const observers = OBSERVERS.map(({ name, hello, subscriptions }) => ({
    name, ...open(hello + subscriptions.map(([pattern, sid]) => `SUB ${pattern} ${sid}\r\n`).join('')),
  }));
  const group = [1, 2].map(() => open(`${MODERN}SUB ${GROUP_PATTERN} observers ${GROUP_SID}\r\n`));
  return { exchange, open, observers, group, publisher: open(MODERN) };
}

function runInMemory(broker: ReturnType<typeof createMemoryBroker>, number: number): void {
  const client = broker.open('');
  try {
    talkInMemory(broker, client, number);
  } catch (error) {
    throw explain(error, number);
  } finally {
    client.session.release();
  }
}

function talkInMemory(broker: ReturnType<typeof createMemoryBroker>, { session, link }: MemoryClient, number: number): void {
  const random = createRandom(SEED, number);
  const stream = createStream(random, number);
  const reading = readStream(stream.toString('latin1'), FUZZ_LIMITS);
  const expected = new ExpectedLogs();
  const model = new ModelClient(observersReached, (message) => expected.publish(message));
  const lastEnd = reading.steps.at(-1)?.end ?? 0;
  const pending = [...reading.steps];
  const interject = (subject: string): void => {
    const payload = `by ${subject}`;
    broker.publisher.session.receive(Buffer.from(`PUB ${subject} ${payload.length}\r\n${payload}\r\n`));
    const message = { subject, reply: undefined, headers: '', payload, hasHeaders: false };
    model.hear(message);
    expected.publish(message);
  };
  let offset = 0;
  for (const chunk of cutAnywhere(random, stream)) {
    // A copy: the parser may keep views of what it is given.
    session.receive(Buffer.from(chunk));
    offset += chunk.length;
    while (pending[0] !== undefined && pending[0].end <= offset) model.obey(pending.shift()!.step);
    // Only while it is certain whether the client is still connected.
    if (offset <= lastEnd && random.chance(0.3)) interject(`p.${random.below(5)}`);
    if (random.chance(0.1)) broker.exchange.flush();
  }
  if (reading.violation !== undefined) model.refuse(reading.violation);
  if (!reading.openLine || model.closed) interject('p.end');
  broker.exchange.flush();

  for (const { name, link: observed } of broker.observers) same(observed.take(), expected.log(name), `the ${name} observer was told`);
  const grouped = broker.group.flatMap((member) => frames(member.link.take()));
  same(grouped.toSorted().join(''), expected.group.toSorted().join(''), 'the queue group was told');
  compareOwn(link.take(), model, reading.openLine);
  if (!reading.openLine || model.closed) same(link.ended, model.closed ? 'politely' : 'no', 'the connection ended');
  same(broker.publisher.link.take(), '', 'the publisher was told');
}

function explain(error: unknown, number: number): Error {
  const stream = createStream(createRandom(SEED, number), number);
  return new Error(`BROKER_FUZZ_SEED=${SEED} BROKER_FUZZ_CASE=${number}: ${error instanceof Error ? error.message : String(error)}\n  stream   ${JSON.stringify(stream.toString('latin1'))}`);
}

function report(what: string, cases: number, start: number): void {
  process.stdout.write(`fuzz: ${cases} ${what} in ${((Date.now() - start) / 1000).toFixed(1)} s, BROKER_FUZZ_SEED=${SEED}\n`);
}

describe('broker under fuzz', () => {
  it(`memory: ${MEMORY_CASES} streams, everyone is told exactly what the model says`, () => {
    const broker = createMemoryBroker();
    const before = broker.exchange.subscriptions;
    const start = Date.now();
    const numbers = ONLY === undefined ? Array.from({ length: MEMORY_CASES }, (_, number) => number) : [Number(ONLY)];
    try {
      for (const number of numbers) runInMemory(broker, number);
      report('cases in memory', numbers.length, start);
      expect(broker.exchange.subscriptions).toBe(before);
    } finally {
      for (const { session } of [...broker.observers, ...broker.group, broker.publisher]) session.release();
    }
    expect(broker.exchange.subscriptions).toBe(0);
  }, 120_000);

  it(`sockets: ${SOCKET_CASES} streams over TCP, everyone is told exactly what the model says`, async () => {
    const broker = await startBroker(FUZZ_LIMITS);
    const everyone: RawClient[] = [];
    const start = Date.now();
    const numbers = ONLY === undefined ? Array.from({ length: SOCKET_CASES }, (_, number) => MEMORY_CASES + number) : [Number(ONLY)];
    try {
      const observers = await Promise.all(OBSERVERS.map(async ({ name, hello, subscriptions }) => {
        const client = await RawClient.connect(broker.port, hello.trimEnd());
        await client.ask(...subscriptions.map(([pattern, sid]) => `SUB ${pattern} ${sid}`));
        return { name, client };
      }));
      const members = await Promise.all([1, 2].map(() => RawClient.connect(broker.port, MODERN.trimEnd())));
      for (const member of members) await member.ask(`SUB ${GROUP_PATTERN} observers ${GROUP_SID}`);
      everyone.push(...observers.map(({ client }) => client), ...members);
      for (const number of numbers) {
        for (const client of everyone) client.received = '';
        try {
          await runOverTcp(broker.port, number, observers, members);
        } catch (error) {
          throw explain(error, number);
        }
      }
      report('cases over TCP', numbers.length, start);
      expect(broker.stats().connections).toBe(everyone.length);
      expect(broker.stats().slowConsumers).toBe(0);
    } finally {
      for (const client of everyone) await client.close();
      await broker.close();
    }
  }, 120_000);
});

async function runOverTcp(port: number, number: number, observers: readonly { name: string; client: RawClient }[], members: readonly RawClient[]): Promise<void> {
  const random = createRandom(SEED, number);
  const stream = createStream(random, number);
  const reading = readStream(stream.toString('latin1'), FUZZ_LIMITS);
  const expected = new ExpectedLogs();
  const model = new ModelClient(observersReached, (message) => expected.publish(message));
  for (const { step } of reading.steps) model.obey(step);
  if (reading.violation !== undefined) model.refuse(reading.violation);

  const told = await converse(port, cutAnywhere(random, stream));
  // The conversation is over, so the broker has read all of it; what it sent the observers comes before their PONG.
  for (const { name, client } of observers) {
    await client.ask();
    same(client.received.replace(/PONG\r\n$/, ''), expected.log(name), `the ${name} observer was told`);
  }
  for (const member of members) await member.ask();
  const grouped = members.flatMap((member) => frames(member.received.replace(/PONG\r\n$/, '')));
  same(grouped.toSorted().join(''), expected.group.toSorted().join(''), 'the queue group was told');
  compareOwn(told, model, reading.openLine);
}

/** Sends the chunks, some of them a moment apart, hangs up, and answers all that came back after INFO. */
function converse(port: number, chunks: readonly Buffer[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const timer = setTimeout(() => { socket.destroy(); reject(new Error('the broker hangs')); }, 5000);
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    // The broker may hang up while the rest of a bad stream is still being sent: 'close' follows.
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearTimeout(timer);
      const text = Buffer.concat(received).toString('latin1');
      resolve(text.slice(text.indexOf('\r\n') + 2));
    });
    const send = async (): Promise<void> => {
      for (const [index, chunk] of chunks.entries()) {
        if (!socket.writable) return;
        socket.write(chunk);
        if (index < 5) await new Promise((next) => setImmediate(next));
      }
      socket.end();
    };
    socket.once('connect', () => { send().catch(reject); });
  });
}
