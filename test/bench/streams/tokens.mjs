// What a measured token says: its number and when it was emitted, on the clock that all processes of a machine share.
// " <number>.<emitted at, µs>" in base 36: some ten bytes, about what a word of an answer takes.
performance.now(); // The first call takes a millisecond.
const OFFSET_MS = -performance.now() + Number(process.hrtime.bigint()) / 1e6;

/** Milliseconds on the machine's monotonic clock. */
export const machineNow = () => performance.now() + OFFSET_MS;

export const tokenText = (number, pad) => ` ${number.toString(36)}.${Math.round(machineNow() * 1_000).toString(36)}${pad}`;

/** The tokens of a text. @throws when it holds anything but whole tokens */
export function tokensOf(text) {
  const tokens = [];
  if (text === '') return tokens;
  if (text[0] !== ' ') throw new Error(`A text does not begin at a token: ${JSON.stringify(text.slice(0, 40))}`);
  for (const word of text.slice(1).split(' ')) {
    const [number, rest] = word.split('.');
    const stamp = /^[0-9a-z]+/.exec(rest ?? '')?.[0];
    if (stamp === undefined) throw new Error(`"${word}" is no token.`);
    tokens.push({ word, number: parseInt(number, 36), emittedAt: parseInt(stamp, 36) / 1_000 });
  }
  return tokens;
}
