/** Finds and reads the config file. c12 does the loading; which files count, and what errors say, is decided here. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, extname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from './config-error.js';
import { CONFIG_EXTENSIONS, configFilesIn } from './places.js';

export interface ConfigFile {
  /** Absolute path. */
  readonly path: string;
  /** The path as a person in `cwd` would write it. */
  readonly name: string;
  /** What the file says, not validated. */
  readonly content: object;
  readonly notices: readonly string[];
}

/**
 * Reads the config file of `cwd`, or `file` if given. Reading again sees changes, in TypeScript and JavaScript too.
 * @returns undefined where `cwd` has none.
 * @throws ConfigError when `file` does not exist, or a file cannot be read; a syntax error names its line.
 */
export async function readConfigFile(cwd: string, file?: string): Promise<ConfigFile | undefined> {
  const [path, ...ignored] = file === undefined ? configFilesIn(cwd) : [resolve(cwd, file)];
  if (path === undefined) return undefined;
  const name = nameIn(cwd, path);
  if (!existsSync(path)) throw new ConfigError([{ origin: name, reason: 'does not exist' }]);
  if (!CONFIG_EXTENSIONS.includes(extname(path))) throw new ConfigError([{ origin: name, reason: `is not one of ${CONFIG_EXTENSIONS.join(', ')}` }]);

  const content = await load(path, name);
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new ConfigError([{ origin: name, reason: `must hold an object, not ${Array.isArray(content) ? 'a list' : `a ${typeof content}`}` }]);
  }
  const notices = ignored.map((other) => `${nameIn(cwd, other)} is ignored: ${name} comes first.`);
  if (Object.keys(content).length === 0) {
    notices.push(`${name} sets nothing${/[jt]s$/.test(path) ? '; does it have an "export default"?' : '.'}`);
  }
  return { path, name, content, notices };
}

function nameIn(cwd: string, path: string): string {
  const name = relative(cwd, path);
  return name.startsWith('..') ? path : name;
}

async function load(path: string, name: string): Promise<unknown> {
  const extension = extname(path);
  try {
    if (extension === '.json') return await loadJson(path, name);
    // YAML that holds only comments is an empty configuration, which c12 takes for an error.
    if (/^\.ya?ml$/.test(extension) && /^(\s*(#.*|---\s*)?\n)*\s*(#.*|---\s*)?$/.test(await readFile(path, 'utf8'))) return {};
    return await loadWithC12(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([{ origin: name, reason: `cannot be read: ${whatWentWrong(error, path)}` }], error);
  }
}

async function loadWithC12(path: string): Promise<unknown> {
  const { loadConfig } = await import('c12');
  const { config } = await loadConfig({
    name: 'ollamesh',
    configFile: path,
    configFileRequired: true,
    // Nothing but this one file counts: no layers, no remote sources, no rc files, no .env, no per-environment keys.
    extend: false,
    giget: false,
    rcFile: false,
    globalRc: false,
    dotenv: false,
    envName: false,
    packageJson: false,
    jitiOptions: {
      // Nothing of the file, which may hold a token, is left in a cache folder.
      fsCache: false,
      moduleCache: false,
      // `import { defineConfig } from 'ollamesh'` works where ollamesh is not installed in the project, such as with npx.
      alias: { ollamesh: fileURLToPath(new URL(`./define-config${extname(import.meta.url)}`, import.meta.url)) },
    },
  });
  return config;
}

/** c12 would load JSON through Node's module cache, and so never see a change. */
async function loadJson(path: string, name: string): Promise<unknown> {
  // Some editors on Windows start a file with a byte order mark.
  const text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError([{ origin: name, reason: `cannot be read: it is not valid JSON (line ${lineOfJsonError(text)})` }], error);
  }
}

/** Counted from 1. Node 20 does not always say where; so this looks for the first line with which the text can't go on. */
function lineOfJsonError(text: string): number {
  const lines = text.split('\n');
  const broken = lines.findIndex((_, index) => !mayGoOn(lines.slice(0, index + 1).join('\n')));
  return broken < 0 ? lines.length : broken + 1;
}

/** True where `text` is JSON, or would be if more followed. */
function mayGoOn(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    const position = /at position (\d+)/.exec(message)?.[1];
    return /Unexpected end|Unterminated string/.test(message) || (position !== undefined && Number(position) >= text.length);
  }
}

/** One line out of whatever a parser, a module loader or the file's own code threw. */
function whatWentWrong(error: unknown, path: string): string {
  const { message, stack, reason, mark } = Object(error) as { message?: unknown; stack?: unknown; reason?: unknown; mark?: { line?: unknown } };
  // Not `instanceof Error`: the file's code may have run in a realm of its own.
  if (typeof message !== 'string') return `it threw ${String(error)}`;
  // js-yaml keeps the place apart from the reason.
  if (typeof reason === 'string' && typeof mark?.line === 'number') return `${reason} (line ${mark.line + 1})`;
  // How c12 and jiti stumble over a file that exports null.
  if (/^Cannot read properties of (null|undefined) \(reading '(then|\$meta)'\)$/.test(message)) return 'it holds no object';
  // Syntax errors carry "<path>:<line>:<column>" in their message, errors of the file's own code in their stack.
  const line = lineIn(message, path) ?? lineIn(String(stack), path);
  const [what = ''] = message.replace(/^ParseError: /, '').split('\n');
  return line === undefined ? what.trim() : `${what.trim()} (line ${line})`;
}

function lineIn(text: string, path: string): string | undefined {
  const from = text.indexOf(basename(path));
  return from < 0 ? undefined : /^:(\d+)/.exec(text.slice(from + basename(path).length))?.[1];
}
