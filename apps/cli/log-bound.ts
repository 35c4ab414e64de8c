/** Keeps the background mesh's log within its size: past it the log begins anew, and one older part is kept. */
import { copyFile, stat, truncate } from 'node:fs/promises';

const LOOK_MS = 2_000;

/** The part before the newest. */
export function olderPartOf(file: string): string {
  return `${file}.1`;
}

/** Looks at once, and then every two seconds. @param bytes size past which it begins anew @returns what ends it */
export async function boundLog(file: string, bytes: number): Promise<() => void> {
  const look = async () => {
    try {
      if ((await stat(file)).size <= bytes) return;
      // Copied and emptied, not renamed: this process and its engine write to the open file.
      await copyFile(file, olderPartOf(file));
      await truncate(file);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
    }
  };
  await look();
  const timer = setInterval(() => void look().catch(() => undefined), LOOK_MS); // A full disk is no reason to end.
  timer.unref();
  return () => clearInterval(timer);
}
