/** A check of `ollamesh doctor`, and how they are run: all at once, each with a time limit, none able to fail the others. */

export interface Verdict {
  /** `note`: worth knowing, nothing to do. `warn`: it works, but could work better. `fail`: it stands in the way. */
  readonly state: 'ok' | 'note' | 'warn' | 'fail';
  /** What was found, a sentence. */
  readonly detail: string;
  /** The command or step that comes next; every `warn` and `fail` has one. */
  readonly next?: string;
}

export interface Check {
  readonly name: string;
  run(signal: AbortSignal): Promise<Verdict | readonly Verdict[]>;
}

export interface Result extends Verdict {
  readonly name: string;
}

/** In the checks' order. A check that takes longer than `limitMs` is told to stop, and reported. */
export async function runChecks(checks: readonly Check[], limitMs: number): Promise<Result[]> {
  const results = await Promise.all(
    checks.map(async ({ name, run }) => {
      const verdicts = await withinLimit(run, limitMs);
      return (Array.isArray(verdicts) ? verdicts : [verdicts]).map((verdict: Verdict): Result => ({ name, ...verdict }));
    }),
  );
  return results.flat();
}

async function withinLimit(run: Check['run'], limitMs: number): Promise<Verdict | readonly Verdict[]> {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Verdict>((resolve) => {
    timer = setTimeout(() => {
      resolve({ state: 'warn', detail: `This check was given up after ${limitMs / 1_000} s.`, next: 'Try again: ollamesh doctor' });
      over.abort();
    }, limitMs);
  });
  try {
    return await Promise.race([run(over.signal), late]);
  } catch (thrown) {
    return { state: 'warn', detail: `This check failed itself: ${thrown instanceof Error ? thrown.message : String(thrown)}`, next: 'Please report this with the output of: ollamesh doctor --json' };
  } finally {
    clearTimeout(timer);
  }
}

export const blocks = (results: readonly Result[]): boolean => results.some(({ state }) => state === 'fail');
