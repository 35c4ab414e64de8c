/** Splits a byte stream into JSON lines as they arrive. */
import { MeshError } from '#contracts';

/** Longest line taken, in bytes; a line of an engine's answer holds one token or one report. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The JSON values of newline-delimited JSON, as many at a time as one chunk completes, so that fast answers cost one wait a
 * chunk and not one a line; a last line without newline counts. Those before a bad line are told before it throws.
 * @throws MeshError `engine_error` for a line that is no JSON or longer than 16 MiB.
 */
export async function* jsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<unknown[]> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    const values: unknown[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = chunk.subarray(start, end);
      start = end + 1;
      const whole = pending.length === 0 ? line : Buffer.concat([...pending, line]);
      pending = [];
      pendingBytes = 0;
      if (whole.length === 0) continue;
      const value = parseLine(whole);
      if (value instanceof MeshError) {
        if (values.length > 0) yield values;
        throw value;
      }
      values.push(value);
    }
    if (values.length > 0) yield values;
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.length - start;
      if (pendingBytes > MAX_LINE_BYTES) throw new MeshError('engine_error', `The engine sent a line of more than ${MAX_LINE_BYTES} bytes.`);
    }
  }
  const rest = Buffer.concat(pending);
  if (rest.length === 0) return;
  const value = parseLine(rest);
  if (value instanceof MeshError) throw value;
  yield [value];
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch (cause) {
    return new MeshError('engine_error', `The engine sent a line that is no JSON: ${line.subarray(0, 200).toString('utf8')}`, { cause });
  }
}
