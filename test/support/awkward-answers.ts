/** Answers that are hard to carry: tokens that end inside a character, text that looks like the wire's own, bytes cut anywhere. */
import type { Answer } from '../fakes/fake-ollama.js';
import type { Random } from '../conformance/support/random.js';

const PIECES = [
  'Hello ', 'naïve ', 'Größe ', '日本語', 'עברית ', '😀', '👩‍👩‍👧‍👦', '🇨🇭', 'e\u0301', '\u{10ffff}', '\u{1d4b3}', '\u2028', '\u0000',
  '\n\n', '\r\n', 'data: x\n\nevent: done\n', 'id: 7-7\n', '\r\nMSG x 1 3\r\n', '"quoted\\"', '<b>&amp;',
];
/** UTF-16 units of one token: less than many a character has. */
const MAX_TOKEN = 6;

export interface AwkwardAnswer {
  /** What every viewer must have in the end. */
  readonly text: string;
  readonly answer: Answer;
}

/** @param everyMs pause between the pieces that the engine writes, one a token on the average */
export function awkwardAnswer(random: Random, tokens: number, everyMs: number): AwkwardAnswer {
  let rest = '';
  while (rest.length < (tokens * (MAX_TOKEN + 1)) / 2) rest += random.pick(PIECES);
  const text = rest;
  const lines: object[] = [];
  while (rest !== '') {
    const length = 1 + random.below(MAX_TOKEN);
    lines.push({ model: 'tiny:latest', response: rest.slice(0, length), done: false });
    rest = rest.slice(length);
  }
  lines.push({ model: 'tiny:latest', response: '', done: true, done_reason: 'stop', eval_count: lines.length });
  let bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const pieceBytes = (2 * bytes.length) / lines.length;
  const pieces: Buffer[] = [];
  while (bytes.length > 0) {
    const length = 1 + random.below(pieceBytes);
    pieces.push(bytes.subarray(0, length));
    bytes = bytes.subarray(length);
  }
  return { text, answer: { lines: pieces, everyMs } };
}
