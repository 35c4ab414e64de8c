/** A NATS server seen through a bad line: on the wire, in front of one app, frames and beats are lost, doubled or late. */
import { Transform } from 'node:stream';
import type { Random } from '../conformance/support/random.js';
import { type CuttableProxy, startProxy } from './cuttable-proxy.js';

/** Chances, 0 to 1, for each message that carries frames or beats. */
export interface Faults {
  readonly lose: number;
  readonly repeat: number;
  readonly delay: number;
}

export const NO_FAULTS: Faults = { lose: 0, repeat: 0, delay: 0 };
const MAX_DELAY_MS = 60;
/** Without beats for four seconds a producer counts as lost, which is not what a bad line is. */
const MAX_BEATS_LOST_IN_A_ROW = 2;

export interface FaultyLink extends CuttableProxy {
  faults: Faults;
  /** Messages that met each fault. */
  readonly met: { lost: number; repeated: number; delayed: number };
  /** How many frames of a stream did not come through although some before and after them did. */
  gapsOf(streamId: string): number;
}

export async function startFaultyLink(targetPort: number, random: Random): Promise<FaultyLink> {
  const passed = new Map<string, Set<number>>();
  const met = { lost: 0, repeated: 0, delayed: 0 };
  let beatsLost = 0;
  const pass = (message: Message, push: (bytes: Buffer) => void) => {
    note(passed, message);
    push(message.bytes);
  };
  const send = (message: Message, push: (bytes: Buffer) => void) => {
    const isBeat = message.subject.endsWith('.streams.beat');
    if (!isBeat && !message.subject.endsWith('.frames')) return push(message.bytes);
    const { lose, repeat, delay } = link.faults;
    if (random.chance(lose) && !(isBeat && beatsLost >= MAX_BEATS_LOST_IN_A_ROW)) {
      met.lost++;
      if (isBeat) beatsLost++;
      return;
    }
    if (isBeat) beatsLost = 0;
    if (random.chance(delay)) {
      met.delayed++;
      setTimeout(() => pass(message, push), random.below(MAX_DELAY_MS));
    } else {
      pass(message, push);
    }
    if (random.chance(repeat)) {
      met.repeated++;
      setTimeout(() => pass(message, push), random.below(MAX_DELAY_MS));
    }
  };
  const proxy = await startProxy(targetPort, () => perMessage(send));
  const link: FaultyLink = { ...proxy, faults: NO_FAULTS, met, gapsOf: (streamId) => gapsOf(passed.get(streamId) ?? new Set()) };
  return link;
}

interface Message {
  /** Empty for everything that is no message. */
  readonly subject: string;
  readonly payload: Buffer;
  readonly bytes: Buffer;
}

/** Cuts what a server sends into its protocol's units (https://docs.nats.io/reference/reference-protocols/nats-protocol). */
function perMessage(send: (message: Message, push: (bytes: Buffer) => void) => void): Transform {
  let pending = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      pending = Buffer.concat([pending, chunk]);
      for (let unit = firstUnit(pending); unit; unit = firstUnit(pending)) {
        pending = pending.subarray(unit.bytes.length);
        send(unit, (bytes) => {
          if (!this.destroyed && !this.writableEnded) this.push(bytes);
        });
      }
      callback();
    },
  });
}

function firstUnit(bytes: Buffer): Message | undefined {
  const lineEnd = bytes.indexOf('\r\n');
  if (lineEnd < 0) return undefined;
  const [verb, subject = '', ...rest] = bytes.subarray(0, lineEnd).toString('latin1').split(' ');
  if (verb !== 'MSG' && verb !== 'HMSG') return { subject: '', payload: Buffer.alloc(0), bytes: bytes.subarray(0, lineEnd + 2) };
  const end = lineEnd + 2 + Number(rest.at(-1)) + 2;
  if (bytes.length < end) return undefined;
  return { subject, payload: bytes.subarray(lineEnd + 2, end - 2), bytes: bytes.subarray(0, end) };
}

function gapsOf(numbers: ReadonlySet<number>): number {
  return numbers.size === 0 ? 0 : Math.max(...numbers) - Math.min(...numbers) + 1 - numbers.size;
}

function note(passed: Map<string, Set<number>>, { subject, payload }: Message): void {
  const id = /\.stream\.([^.]+)\.frames$/.exec(subject)?.[1];
  if (id === undefined) return;
  const seen = passed.get(id) ?? new Set();
  passed.set(id, seen);
  for (const { seq } of JSON.parse(payload.toString('utf8')) as { seq: number }[]) seen.add(seq);
}
