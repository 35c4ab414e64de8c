/** What Docker's errors say, and how they become the driver's own. */
import { MeshError } from '#contracts';

/** The HTTP status Docker answered with, if it answered. */
export function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}

/** The operating system's code, such as ECONNREFUSED. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Docker's own words, without dockerode's "(HTTP code 404) no such image - " in front. */
export function wordsOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return message.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim().replace(/\.$/, '');
}

/** An `engine_unavailable` whose message is `sentence` and Docker's words; a MeshError stays what it is. */
export function unavailable(sentence: string, thrown: unknown, advice: string): MeshError {
  if (thrown instanceof MeshError) return thrown;
  return new MeshError('engine_unavailable', `${sentence}: ${wordsOf(thrown)}. ${advice}`, {
    cause: thrown,
    details: { driver: 'docker', ...(statusOf(thrown) !== undefined && { status: statusOf(thrown) }) },
  });
}

/** `thrown` is only "it isn't there" (404): then undefined, else it is thrown again. */
export function undefinedIfMissing(thrown: unknown): undefined {
  if (statusOf(thrown) === 404) return undefined;
  throw thrown;
}
