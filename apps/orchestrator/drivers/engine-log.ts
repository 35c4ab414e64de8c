/** An engine's log lines in ours: with their own level, and no more a second than anybody reads. log-tail.ts keeps the last ones. */
import type { Logger } from '#runtime';

export type EngineLogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Lines a second that go through; of the others their number is told. */
const LINES_PER_SECOND = 20;

/** Where an engine's lines go, one by one. */
export type LineSink = (line: string) => void;

/** The level that a line claims, in the forms of Ollama (slog), its web server and Go's own last words; what claims none is information. */
export function levelOf(line: string): EngineLogLevel {
  const claimed = /\blevel=(DEBUG|INFO|WARN|ERROR)\b/.exec(line)?.[1];
  if (claimed !== undefined) return claimed.toLowerCase() as EngineLogLevel;
  if (line.startsWith('[GIN')) return 'debug';
  if (/^(panic:|fatal error:|Error:|FATAL\b)/.test(line) || /\bCUDA error\b/.test(line)) return 'error';
  return /^(WARN(ING)?|warning)\b/i.test(line) ? 'warn' : 'info';
}

/** A sink that writes into `logger`; @param now a clock in milliseconds */
export function engineLog(logger: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>, now: () => number = () => performance.now()): LineSink {
  let secondStarted = Number.NEGATIVE_INFINITY;
  let passed = 0;
  let dropped = 0;
  return (line) => {
    if (now() - secondStarted >= 1_000) {
      if (dropped > 0) logger.warn(`engine: (${dropped} lines left out: more than ${LINES_PER_SECOND} a second)`);
      secondStarted = now();
      passed = dropped = 0;
    }
    if (passed >= LINES_PER_SECOND) {
      dropped++;
      return;
    }
    passed++;
    logger[levelOf(line)](`engine: ${line}`);
  };
}
