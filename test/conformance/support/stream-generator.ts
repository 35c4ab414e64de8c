/** Byte streams for the fuzz test: valid ones, valid ones with damage, and noise; and ways to cut them. */
import type { Random } from './random.js';

/** Bytes; small, so that streams meet the limits often. */
export const FUZZ_LIMITS = { maxControlLine: 120, maxPayload: 600 };

const SUBJECTS = ['a', 'b', 'a.b', 'a.c', 'a.b.c', 'b.c', 'p.x', 'reply', 'inbox.1', 'inbox.2', 'a*', 'é'.normalize()];
const ODD_SUBJECTS = ['a..b', '.a', 'a.', 'a.*', '*', '>', 'a.>', 'a.>.b', '.', 'a.*.c', '*.b', 'inbox.*', 'inbox.>', 'p.>'];
const QUEUES = ['q', 'r'];
const CONNECTS = [
  '{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}', '{"verbose":false,"pedantic":false,"headers":true}',
  '{"verbose":false,"pedantic":true,"headers":true,"no_responders":true}', '{"verbose":false}', '{"verbose":true,"pedantic":false}',
  '{"verbose":false,"echo":false,"headers":true,"no_responders":true}', '{}',
];
const RARE_CONNECTS = ['{"protocol":7}', '{"no_responders":true,"headers":false}', '{"verbose":1}', '[]', '{', ' {"name":"é"} '];
/** What mutations insert besides random bytes: what the parser looks for. */
const DICTIONARY = ['\r\n', '\n', '\r', ' ', '\t', 'PUB ', 'HPUB ', 'SUB a 9\r\n', 'UNSUB 1\r\n', 'PING\r\n', 'PONG\r\n', 'CONNECT {}\r\n', '0', '9', '-1', '.', '>', '*', '\0', '+OK\r\n', "-ERR ''\r\n", 'INFO {}\r\n', 'MSG a 1 1\r\nx\r\n', 'PUB a 1\r\nx\r\n', 'x'.repeat(130)];

/** A stream of operations as a client would send them; a few are wrong in ways a server must notice. */
export function validStream(random: Random): Buffer {
  const parts: Buffer[] = [line(random, 'CONNECT', random.chance(0.97) ? random.pick(CONNECTS) : random.pick(RARE_CONNECTS))];
  const count = random.below(9);
  for (let index = 0; index < count; index += 1) parts.push(operation(random));
  return Buffer.concat(parts);
}

/** A valid stream with a few bytes changed, lost, added, repeated or cut off. */
export function mutatedStream(random: Random): Buffer {
  let bytes = validStream(random);
  for (let times = 1 + random.below(4); times > 0 && bytes.length > 0; times -= 1) {
    const at = random.below(bytes.length);
    const end = Math.min(bytes.length, at + 1 + random.below(12));
    switch (random.below(6)) {
      case 0: bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(end - at), bytes.subarray(end)]); break;
      case 1: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]); break;
      case 2: bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(DICTIONARY)), bytes.subarray(at)]); break;
      case 3: bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]); break;
      case 4: bytes = bytes.subarray(0, at); break;
      default: bytes = Buffer.from(bytes); bytes[at]! ^= 1 << random.below(8);
    }
  }
  return bytes;
}

/** Noise, partly made of the protocol's own words. */
export function noise(random: Random): Buffer {
  const parts = Array.from({ length: 1 + random.below(8) }, () => (
    random.chance(0.6) ? random.bytes(random.below(60)) : Buffer.from(random.pick(DICTIONARY))));
  return Buffer.concat(parts);
}

/** Cuts a stream anywhere: into many small pieces, a few large ones, or none. */
export function cutAnywhere(random: Random, bytes: Buffer): Buffer[] {
  const largest = random.pick([1, 4, 16, 40, 100, 400, 100_000]);
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + random.below(largest));
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  return chunks;
}

function operation(random: Random): Buffer {
  switch (random.below(12)) {
    case 0: case 1: return line(random, 'SUB', subject(random, 0.4), random.chance(0.2) ? random.pick(QUEUES) : '', sid(random));
    case 2: return line(random, 'UNSUB', sid(random), random.chance(0.6) ? String(random.below(4)) : '');
    case 3: return line(random, random.pick(['PING', 'PONG', '+OK', 'INFO {}', 'ping x']));
    case 4: case 5: case 6: return headerPublish(random);
    default: return publish(random);
  }
}

function publish(random: Random): Buffer {
  const body = payload(random);
  const size = random.chance(0.98) ? String(body.length).padStart(random.chance(0.1) ? 5 : 1, '0') : random.pick(['-1', 'x', '', '700', '9999999999', String(body.length + 1)]);
  return Buffer.concat([line(random, 'PUB', subject(random, 0.1), reply(random), size), body, Buffer.from('\r\n')]);
}

function headerPublish(random: Random): Buffer {
  const head = Buffer.from(random.pick(['NATS/1.0\r\n\r\n', 'NATS/1.0\r\nK: v\r\nK: w\r\n\r\n', '', 'not headers']));
  const body = payload(random);
  const headSize = random.chance(0.98) ? head.length : random.pick([-1, 601, head.length + body.length + 1]);
  return Buffer.concat([line(random, 'HPUB', subject(random, 0.1), reply(random), String(headSize), String(head.length + body.length)), head, body, Buffer.from('\r\n')]);
}

function payload(random: Random): Buffer {
  if (random.chance(0.3)) return Buffer.from(random.pick(DICTIONARY));
  return random.bytes(random.chance(0.1) ? random.below(650) : random.below(30));
}

function subject(random: Random, odd: number): string {
  return random.chance(odd) ? random.pick(ODD_SUBJECTS) : random.pick(SUBJECTS);
}

function reply(random: Random): string {
  return random.chance(0.3) ? random.pick(['reply', 'inbox.1', 'inbox.2', 'a.b', 'x..y']) : '';
}

function sid(random: Random): string {
  return random.pick(['1', '2', '3', 'long-sid']);
}

function line(random: Random, name: string, ...args: readonly string[]): Buffer {
  const gap = random.chance(0.9) ? ' ' : random.pick(['\t', '  ', ' \t ']);
  const cased = random.chance(0.9) ? name : name.toLowerCase();
  return Buffer.from([cased, ...args.filter((arg) => arg !== '')].join(gap) + (random.chance(0.95) ? '\r\n' : '\n'));
}
