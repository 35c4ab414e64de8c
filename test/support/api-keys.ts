/** API keys as a person makes them: with the command. */
import { type ProgramOptions, ollamesh } from './program.js';

export interface MadeKey {
  readonly id: string;
  readonly key: string;
  readonly hash: string;
}

/** @param more further arguments, such as `--scope operator` */
export async function makeKey(dataDir: string, name: string, ...more: string[]): Promise<MadeKey> {
  const made = await keys(dataDir, ['create', name, '--json', ...more]);
  return JSON.parse(made) as MadeKey;
}

/** What `ollamesh keys …` says. @throws when it fails */
export async function keys(dataDir: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await ollamesh(['keys', ...args], { ...options, env: { OLLAMESH_DATA_DIR: dataDir, ...options.env } });
  if (code !== 0) throw new Error(`ollamesh keys ${args.join(' ')}: ${stderr}`);
  return stdout;
}

export const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
