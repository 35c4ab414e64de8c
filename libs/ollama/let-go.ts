/** What becomes of the connection of an answer that nobody reads on. */
import type { Readable } from 'node:stream';

/** How long a server may take from the last of an answer to the answer's end before its connection is dropped, in milliseconds. */
const ENDING_MS = 1_000;

/** Takes the end of an answer of which everything has been read, so that its connection serves the next; drops that of any other. */
export function letGo(body: Readable, isWhole: boolean): void {
  body.on('error', () => undefined); // Nobody reads on, so nothing is lost.
  if (!isWhole) {
    body.destroy();
    return;
  }
  const timer = setTimeout(() => body.destroy(), ENDING_MS).unref();
  body.once('close', () => clearTimeout(timer)).resume();
}
