/** The client as a page gets it: bundled out of the built package. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ROOT } from '../support/program.js';

/** @param entry a file, from the project's root */
export async function bundleOf(entry: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [`${ROOT}test/client/vite-bundle.mjs`, `${ROOT}${entry}`], { cwd: ROOT, timeout: 60_000, maxBuffer: 16 * 1024 * 1024, env: { ...process.env, NODE_OPTIONS: '' } });
  return stdout;
}
