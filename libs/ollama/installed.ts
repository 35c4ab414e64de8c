/** Where an Ollama is installed on this machine, and whether it is new enough. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Environment } from '#config';

export interface InstalledOllama {
  readonly program: string;
  readonly version: string;
}

/** Why there is none to use, a sentence; `installed` when there is one that won't do. */
export interface NoOllama {
  readonly notMe: string;
  readonly installed: boolean;
}

export interface Where {
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  readonly home: string;
}

/** The first that answers with tool calls while it streams, which the mesh passes on. */
const OLDEST = [0, 8, 0] as const;
const VERSION_LIMIT_MS = 2_000;

/** The installed Ollama, or why there is none to use. */
export async function findOllama(where: Where, signal: AbortSignal): Promise<InstalledOllama | NoOllama> {
  const places = placesOf(where);
  for (const program of places) {
    if (!(await isProgram(program))) continue;
    const version = await versionOf(program, where.env, signal);
    if (version === undefined) return { notMe: `${program} does not say its version: is it Ollama?`, installed: true };
    if (isOlder(version, OLDEST)) return { notMe: `Ollama ${version} is installed (${program}), but ${OLDEST.join('.')} is the oldest that works: update it.`, installed: true };
    return { program, version };
  }
  return { notMe: 'Ollama is not installed (not on the PATH, nor where its installers put it).', installed: false };
}

/** The folders of the PATH, then where installers put it without telling every shell. */
export function placesOf({ env, platform, home }: Where): string[] {
  const name = platform === 'win32' ? 'ollama.exe' : 'ollama';
  const path = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter((folder) => folder !== '').map((folder) => join(folder, name));
  const usual: Partial<Record<NodeJS.Platform, string[]>> = {
    darwin: ['/Applications/Ollama.app/Contents/Resources/ollama', `${home}/Applications/Ollama.app/Contents/Resources/ollama`, '/opt/homebrew/bin/ollama', '/usr/local/bin/ollama'],
    linux: ['/usr/local/bin/ollama', '/usr/bin/ollama', `${home}/.local/bin/ollama`, '/home/linuxbrew/.linuxbrew/bin/ollama', '/snap/bin/ollama'],
    win32: env['LOCALAPPDATA'] ? [join(env['LOCALAPPDATA'], 'Programs', 'Ollama', name)] : [],
  };
  return [...new Set([...path, ...(usual[platform] ?? [])])];
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** With an address where nobody listens: it would tell the version of a server that answers rather than its own. */
function versionOf(program: string, env: Environment, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, ['--version'], { timeout: VERSION_LIMIT_MS, signal, env: { ...env, OLLAMA_HOST: '127.0.0.1:1' } as NodeJS.ProcessEnv }, (_error, stdout, stderr) => {
      resolve(versionIn(`${stdout}\n${stderr}`));
    });
  });
}

/** Of what `ollama --version` says, the program's own version rather than the server's. */
export function versionIn(said: string): string | undefined {
  return (/client version is v?(\d+\.\d+\.\d+\S*)/i.exec(said) ?? /\bversion is v?(\d+\.\d+\.\d+\S*)/i.exec(said))?.[1];
}

function isOlder(version: string, [major, minor, patch]: readonly [number, number, number]): boolean {
  const [a = 0, b = 0, c = 0] = version.split(/[.-]/).map(Number);
  if (a === 0 && b === 0 && c === 0) return false; // A build from source.
  return a !== major ? a < major : b !== minor ? b < minor : c < patch;
}
