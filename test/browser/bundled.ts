/** A module of the page with all that it imports, as a script that leaves its exports in `globalThis.bundled`. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** In a process of its own: Vite's native part refuses the objects of Jest's realm. */
const SCRIPT = `
  import { build } from 'vite';
  const [made] = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib: { entry: process.argv[1], formats: ['iife'], name: 'bundled' } } });
  process.stdout.write(made.output[0].code + ';globalThis.bundled = bundled;');
`;

export async function bundled(entry: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT, entry], { env: { ...process.env, NODE_OPTIONS: '' }, maxBuffer: 8_000_000 });
  return stdout;
}
