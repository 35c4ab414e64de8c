/** Ends a command on a signal: politely the first time, at once the second, and never later than five seconds. */
import { MeshError } from '#mesh-error';

const LIMIT_MS = 4_800;
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
export type EndSignal = keyof typeof SIGNAL_NUMBERS;

/** The exit code a shell gives for a signal. */
export function exitCodeOf(signal: EndSignal): number {
  return 128 + SIGNAL_NUMBERS[signal];
}

/**
 * Calls `close` on the first signal and ends the process when it is done; a second signal, or a close that takes too long,
 * ends it at once (engines of ours go with it: they watch the channel to their parent).
 */
export function endOnSignals(close: () => Promise<void>, say: (text: string) => void, first = 'Stopping. Press Ctrl-C again to stop at once.'): void {
  let ending = false;
  const end = async (signal: EndSignal) => {
    if (ending) process.exit(exitCodeOf(signal));
    ending = true;
    say(first);
    setTimeout(() => {
      say('Stopping took too long; ended at once.');
      process.exit(1);
    }, LIMIT_MS).unref();
    try {
      await close();
      process.exit(signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : exitCodeOf(signal));
    } catch (thrown) {
      say(MeshError.from(thrown).message);
      process.exit(1);
    }
  };
  for (const signal of Object.keys(SIGNAL_NUMBERS) as EndSignal[]) process.on(signal, () => void end(signal));
}
