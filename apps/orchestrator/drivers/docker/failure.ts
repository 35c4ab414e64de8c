/** What Docker's errors say, and how they become the driver's own. */
import { MeshError } from '#contracts';

/** The HTTP status Docker answered with, if it answered. */
export function statusOf(thrown: unknown): number | undefined {
  const status = fieldOf(thrown, 'statusCode');
  return typeof status === 'number' ? status : undefined;
}

/** The operating system's code, such as ECONNREFUSED. */
export function errnoOf(thrown: unknown): string | undefined {
  const code = fieldOf(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** Docker's own words, without dockerode's "(HTTP code 404) no such image - " in front. */
export function wordsOf(thrown: unknown): string {
  const message = fieldOf(thrown, 'message');
  const words = typeof message === 'string' ? message : String(thrown);
  return words.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim().replace(/\.$/, '');
}

function fieldOf(thrown: unknown, name: string): unknown {
  return typeof thrown === 'object' && thrown !== null ? (thrown as Record<string, unknown>)[name] : undefined;
}

/** An `engine_unavailable` whose message is `sentence` and Docker's words; a MeshError stays what it is. */
export function unavailable(sentence: string, thrown: unknown, advice: string): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const what = /no space left on device/i.test(wordsOf(thrown)) ? 'Docker\'s disk is full: "docker system df" shows what takes it, "docker system prune" frees what nothing uses.' : advice;
  return new MeshError('engine_unavailable', `${sentence}: ${wordsOf(thrown)}. ${what}`, {
    cause: thrown,
    details: { driver: 'docker', ...(statusOf(thrown) !== undefined && { status: statusOf(thrown) }) },
  });
}

/** `thrown` is only "it isn't there" (404): then undefined, else it is thrown again. */
export function undefinedIfMissing(thrown: unknown): undefined {
  if (statusOf(thrown) === 404) return undefined;
  throw thrown;
}
