/** Reads the kernel's small files for a probe. Probes take it as an argument, so recorded files test them. */
import { readFile, readdir, stat } from 'node:fs/promises';

export interface FileReader {
  /** A file's text without blanks at its ends; undefined where it can't be read. */
  read(path: string): Promise<string | undefined>;
  /** The names in a folder; none where it can't be read. */
  list(path: string): Promise<readonly string[]>;
  /** The numeric group that owns a file; undefined where there is none. */
  group(path: string): Promise<number | undefined>;
}

export const fileReader: FileReader = {
  // A GPU lacks what its driver does not offer: a file that can't be read is the ordinary case.
  read: (path) => readFile(path, 'utf8').then((text) => text.trim(), () => undefined),
  list: (path) => readdir(path).catch(() => []),
  group: (path) => stat(path).then(({ gid }) => gid, () => undefined),
};
