/** What fails before its first line and what fails behind it are two things: the first may be tried again. */
import type { Lines } from './provider.js';

/**
 * `lines`, once the first is there.
 * @returns undefined where they ended without any
 * @throws what `lines` throws before its first
 */
export async function begun(lines: Lines): Promise<Lines | undefined> {
  const first = await lines.next();
  return first.done === true ? undefined : goOn(first.value, lines);
}

async function* goOn(first: Awaited<ReturnType<Lines['next']>>['value'], lines: Lines): Lines {
  try {
    yield first;
    yield* lines;
  } finally {
    await lines.return(undefined); // Left at the first, they would not know.
  }
}
