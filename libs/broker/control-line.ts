/** Reads one control line (`PUB a.b 5`) into an operation; where lines and payloads begin and end in the byte stream is parser.ts's business. */

/** What a line asks for. Sizes in bytes; `headerBytes` is undefined for PUB. */
export type Operation =
  | { readonly op: 'connect'; readonly json: string }
  | { readonly op: 'ping' | 'pong' | 'ignored' }
  | { readonly op: 'publish'; readonly subject: string; readonly reply: string | undefined; readonly headerBytes: number | undefined; readonly totalBytes: number }
  | { readonly op: 'subscribe'; readonly subject: string; readonly queue: string | undefined; readonly sid: string }
  | { readonly op: 'unsubscribe'; readonly sid: string; readonly max: number | undefined };

/** Why a line can't be served: not an operation at all, or one with arguments that make no sense. */
export type LineError = 'unknown-operation' | 'bad-arguments';

/** The longest operation name, a blank and the carriage return: what a line may be longer than its arguments. */
export const LINE_OVERHEAD_BYTES = 9;

const SPACE = 0x20;
const TAB = 0x09;
const CARRIAGE_RETURN = 0x0d;
const ZERO = 0x30;
const NINE = 0x39;
/** Nine digits stay far below 2^53 and above any payload limit. */
const MAX_SIZE_DIGITS = 9;

const NAMES = ['pub', 'hpub', 'sub', 'unsub', 'ping', 'pong', 'connect', 'info', '+ok', '-err'] as const;

/** Reads a line without its line feed. Latin-1 in, so one character is one byte and nothing is lost on the way out. */
export function readLine(line: string): Operation | LineError {
  // The hot path first: PUB is nearly all a broker hears.
  switch (line.charCodeAt(0) | SPACE) {
    case 0x70: // p
      if (hasArguments(line, 'pub')) return readPublish(line);
      if (startsWith(line, 'ping')) return { op: 'ping' };
      if (startsWith(line, 'pong')) return { op: 'pong' };
      return 'unknown-operation';
    case 0x68: // h
      return hasArguments(line, 'hpub') ? readHeaderPublish(line) : 'unknown-operation';
    case 0x73: // s
      return hasArguments(line, 'sub') ? readSubscribe(line) : 'unknown-operation';
    case 0x75: // u
      return hasArguments(line, 'unsub') ? readUnsubscribe(line) : 'unknown-operation';
    case 0x63: // c
      return startsWith(line, 'connect') ? { op: 'connect', json: line.slice('connect'.length) } : 'unknown-operation';
    case 0x69: // i
      return startsWith(line, 'info') ? { op: 'ignored' } : 'unknown-operation';
    default:
      if (startsWith(line, '+ok')) return { op: 'ignored' };
      // A client that reports an error to the server has lost the thread: nats-server hangs up too.
      return startsWith(line, '-err') ? 'bad-arguments' : 'unknown-operation';
  }
}

/** Whether an unfinished line can still become an operation; garbage is refused without waiting for its line feed. */
export function canBecomeOperation(prefix: string): boolean {
  const start = prefix.slice(0, LINE_OVERHEAD_BYTES).toLowerCase();
  return NAMES.some((name) => (start.length < name.length ? name.startsWith(start) : start.startsWith(name)));
}

function startsWith(line: string, name: string): boolean {
  for (let index = 0; index < name.length; index += 1) {
    const code = line.charCodeAt(index);
    const wanted = name.charCodeAt(index);
    // Only letters have another case: folding `+` or `-` would let control characters pass for them.
    if (code !== wanted && !(wanted >= 0x61 && (code | SPACE) === wanted)) return false;
  }
  return true;
}

function hasArguments(line: string, name: string): boolean {
  const next = line.charCodeAt(name.length);
  return (next === SPACE || next === TAB) && startsWith(line, name);
}

function readPublish(line: string): Operation | LineError {
  const args = split(line, 'pub'.length);
  const [subject, second, third] = args;
  const totalBytes = readSize(args.length === 3 ? third : second);
  if (subject === undefined || args.length < 2 || args.length > 3 || totalBytes === undefined) return 'bad-arguments';
  return { op: 'publish', subject, reply: args.length === 3 ? second : undefined, headerBytes: undefined, totalBytes };
}

function readHeaderPublish(line: string): Operation | LineError {
  const args = split(line, 'hpub'.length);
  const [subject, second] = args;
  const headerBytes = readSize(args.at(-2));
  const totalBytes = readSize(args.at(-1));
  if (subject === undefined || args.length < 3 || args.length > 4) return 'bad-arguments';
  if (headerBytes === undefined || totalBytes === undefined || headerBytes > totalBytes) return 'bad-arguments';
  return { op: 'publish', subject, reply: args.length === 4 ? second : undefined, headerBytes, totalBytes };
}

function readSubscribe(line: string): Operation | LineError {
  const args = split(line, 'sub'.length);
  const [subject, second, third] = args;
  if (subject === undefined || second === undefined || args.length > 3) return 'bad-arguments';
  return third === undefined
    ? { op: 'subscribe', subject, queue: undefined, sid: second }
    : { op: 'subscribe', subject, queue: second, sid: third };
}

function readUnsubscribe(line: string): Operation | LineError {
  const args = split(line, 'unsub'.length);
  const [sid, max] = args;
  if (sid === undefined || args.length > 2) return 'bad-arguments';
  // An unreadable or zero maximum means "now", as in nats-server.
  return { op: 'unsubscribe', sid, max: readSize(max) || undefined };
}

/** The arguments from an offset on; blanks are spaces, tabs and stray carriage returns. */
function split(line: string, from: number): string[] {
  const args: string[] = [];
  let start = -1;
  for (let index = from; index < line.length; index += 1) {
    const code = line.charCodeAt(index);
    if (code === SPACE || code === TAB || code === CARRIAGE_RETURN) {
      if (start >= 0) args.push(line.slice(start, index));
      start = -1;
    } else if (start < 0) {
      start = index;
    }
  }
  if (start >= 0) args.push(line.slice(start));
  return args;
}

/** A decimal size in bytes, or undefined where the text is none. */
function readSize(text: string | undefined): number | undefined {
  if (text === undefined || text.length === 0 || text.length > MAX_SIZE_DIGITS) return undefined;
  let size = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < ZERO || code > NINE) return undefined;
    size = size * 10 + code - ZERO;
  }
  return size;
}
