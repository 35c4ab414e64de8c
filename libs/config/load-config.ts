/** The loader: file, environment and flags in, one validated configuration out, and where each setting came from. */
import { hostname as hostnameOfMachine, homedir } from 'node:os';
import { dirname } from 'node:path';
import { AiForm, readAiForm } from './ai-form.js';
import { ConfigError } from './config-error.js';
import type { Problem } from './config-error.js';
import { readConfigFile } from './config-file.js';
import type { ConfigFile } from './config-file.js';
import type { Environment } from './environment.js';
import { problemsOf } from './issues.js';
import { absolutePath, dataDirOf } from './places.js';
import type { Assignment, Origin } from './origin.js';
import { Config } from './schema.js';
import type { LoadedConfig } from './schema.js';
import { settingsOf } from './settings.js';
import type { Setting } from './settings.js';
import { readVariables } from './variables.js';

/** A command-line option that stands for a setting. */
export interface Flag {
  /** As the user typed it, such as `--port`. */
  readonly name: string;
  /** The setting it stands for, such as `gateway.port`. */
  readonly path: string;
  /** Text is read as an environment variable's would be. Undefined: not given. */
  readonly value: unknown;
}

export interface LoadConfigOptions {
  /** Folder where the config file is looked for, and that relative paths start from. */
  readonly cwd: string;
  readonly env: Environment;
  readonly flags?: readonly Flag[];
  /** The config file, instead of looking for one in `cwd`. */
  readonly file?: string;
  /** The user's home folder. */
  readonly home?: string;
  /** This machine's name on its network; `node` is made from it where nothing sets it. */
  readonly hostname?: string;
}

export interface ConfigLoaded {
  readonly config: LoadedConfig;
  /** Absolute path of the file that was read. */
  readonly file?: string;
  /** Path of each setting that something set → what set it; a setting that is not here has its default. */
  readonly origins: Readonly<Record<string, Origin>>;
  /** What was ignored or read in an unexpected way, a sentence each. */
  readonly notices: readonly string[];
  /** Reads the same file again, with the same environment and flags. @throws ConfigError as the first time, and when the file is gone */
  reload(): Promise<ConfigLoaded>;
}

/**
 * Loads the configuration: flags before environment before file before defaults. A function of its arguments and the file.
 * @throws ConfigError that lists every problem at once.
 */
export async function loadConfig(options: LoadConfigOptions): Promise<ConfigLoaded> {
  const loaded = await load(options);
  const { url } = loaded.config.engine;
  if (url === undefined || loaded.origins['engine.url']?.name !== 'OLLAMA_HOST' || !isOwnGateway(url, loaded.config)) return loaded;
  const { OLLAMA_HOST: _clients, ...env } = options.env;
  const { notices, ...rest } = await load({ ...options, env });
  return { ...rest, notices: [...notices, `OLLAMA_HOST points to this mesh's own gateway (${url}), which is for clients: an engine is looked for elsewhere.`] };
}

async function load({ cwd, env, flags = [], file: explicitFile, home = homedir(), hostname = hostnameOfMachine() }: LoadConfigOptions): Promise<ConfigLoaded> {
  const settings = settingsOf(Config);
  const fromEnvironment = readVariables(env, settings);
  const fromFlags = readFlags(flags, settings);
  const problems: Problem[] = [...fromEnvironment.problems, ...fromFlags.problems];
  const notices: string[] = [];

  const file = await readConfigFile(cwd, explicitFile).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([...error.problems, ...problems], error.cause);
  });
  const fromFile = readFileContent(file);
  problems.push(...fromFile.problems);
  notices.push(...fromFile.notices, ...fromEnvironment.notices);

  const assignments = new Map<string, Assignment>();
  for (const assignment of [...fromFile.assignments, ...fromEnvironment.assignments, ...fromFlags.assignments]) {
    notices.push(...noticeOf(assignment, assignments.get(assignment.path) ?? plainValue(fromFile.plain, assignment.path, file)));
    assignments.set(assignment.path, assignment);
  }

  const merged = copyOf(fromFile.plain);
  for (const { path, value } of assignments.values()) setAt(merged, path.split('.'), value);
  const parsed = Config.safeParse(merged, { reportInput: true });
  if (!parsed.success) problems.push(...problemsOf(parsed.error.issues, Config, (path) => originAt(path, assignments, file)));
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);

  const origins = originsOf(settings, merged, (path) => originAt(path, assignments, file));
  const config = parsed.data;
  const folderOf = (path: string) => (origins[path]?.from === 'file' && file ? dirname(file.path) : cwd);
  return {
    config: {
      ...config,
      node: origins['node'] ? config.node : nodeNameOf(hostname),
      dataDir: dataDirOf(config.dataDir, folderOf('dataDir'), home),
      providers: Object.fromEntries(
        Object.entries(config.providers).map(([name, provider]) => {
          const keyFile = provider.key?.file;
          return [name, keyFile === undefined ? provider : { ...provider, key: { file: absolutePath(keyFile, folderOf('providers'), home) } }];
        }),
      ),
    },
    ...(file && { file: file.path }),
    origins,
    notices,
    reload: () => loadConfig({ cwd, env, flags, home, hostname, ...(file && { file: file.path }) }),
  };
}

/** True for where this mesh's gateway will listen: an Ollama to clients, but taken for an engine, the mesh would ask itself. */
function isOwnGateway(url: string, { gateway }: Config): boolean {
  const { hostname, port } = new URL(url);
  return Number(port) === gateway.port && (hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.'));
}

/** A host's name as one token of a subject: its first label, other characters as `-`; `local` where nothing is left of it. */
export function nodeNameOf(hostname: string): string {
  const [label = ''] = hostname.split('.');
  return label.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63) || 'local';
}

function readFlags(flags: readonly Flag[], settings: readonly Setting[]): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  for (const { name, path, value } of flags) {
    if (value === undefined) continue;
    const setting = settings.find((candidate) => candidate.path === path);
    if (setting) assignments.push({ path, value: typeof value === 'string' ? setting.read(value) : value, origin: { from: 'flag', name } });
    else problems.push({ key: path, origin: name, reason: 'is not a known key' });
  }
  return { assignments, problems };
}

interface FileRead {
  /** The file's content in the plain form, without `ai`. */
  readonly plain: Record<string, unknown>;
  /** What `ai` stands for. */
  readonly assignments: readonly Assignment[];
  readonly problems: readonly Problem[];
  readonly notices: readonly string[];
}

function readFileContent(file: ConfigFile | undefined): FileRead {
  if (!file) return { plain: {}, assignments: [], problems: [], notices: [] };
  const { ai, ...plain } = file.content as Record<string, unknown>;
  if (ai === undefined) return { plain, assignments: [], problems: [], notices: file.notices };
  const parsed = AiForm.safeParse(ai, { reportInput: true });
  if (!parsed.success) {
    const problems = problemsOf(parsed.error.issues, AiForm, () => ({ from: 'file', name: file.name }), ['ai']);
    return { plain, assignments: [], problems, notices: file.notices };
  }
  const { assignments, notices } = readAiForm(parsed.data, file.name, Object.keys(isRecord(plain['providers']) ? plain['providers'] : {}));
  const twice = assignments.filter(({ path }) => valueAt(plain, path.split('.')) !== undefined);
  return {
    plain,
    assignments,
    problems: twice.map(({ path, origin }) => ({ key: path, origin: file.name, reason: `is set twice: by itself and by ${keyOf(origin)}` })),
    notices: [...file.notices, ...notices],
  };
}

const keyOf = (origin: Origin): string => (origin.from === 'file' && origin.key) || origin.name;

/** A variable made for other tools that overrules the project's own file is worth a word. */
function noticeOf({ path, value, origin }: Assignment, before: Assignment | undefined): string[] {
  const foreign = origin.from === 'environment' && !origin.name.startsWith('OLLAMESH_');
  if (!foreign || before?.origin.from !== 'file' || before.value === value) return [];
  return [`${path} comes from ${origin.name}, not from ${before.origin.name}.`];
}

function plainValue(plain: Record<string, unknown>, path: string, file: ConfigFile | undefined): Assignment | undefined {
  const value = valueAt(plain, path.split('.'));
  return value === undefined || !file ? undefined : { path, value, origin: { from: 'file', name: file.name } };
}

/** The origin of what stands at `path`, or of the assignment that put it there. */
function originAt(path: readonly PropertyKey[], assignments: ReadonlyMap<string, Assignment>, file: ConfigFile | undefined): Origin {
  for (let length = path.length; length > 0; length--) {
    const assignment = assignments.get(path.slice(0, length).join('.'));
    if (assignment) return assignment.origin;
  }
  return { from: 'file', name: file?.name ?? 'configuration' };
}

function originsOf(settings: readonly Setting[], merged: object, originOf: (path: string[]) => Origin): Record<string, Origin> {
  const set = settings.map(({ path }) => path.split('.')).filter((path) => valueAt(merged, path) !== undefined);
  return Object.fromEntries(set.map((path) => [path.join('.'), originOf(path)]));
}

function valueAt(from: unknown, [head, ...rest]: readonly string[]): unknown {
  if (head === undefined) return from;
  return isRecord(from) && Object.hasOwn(from, head) ? valueAt(from[head], rest) : undefined;
}

/** Sets a value in nested objects, making those that are missing; something else in the way stays, for the schema to complain about. */
function setAt(target: Record<string, unknown>, [head, ...rest]: readonly string[], value: unknown): void {
  if (head === undefined) return;
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  const next = (target[head] ??= {});
  if (isRecord(next)) setAt(next, rest, value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Copies the nested objects, so that assignments never reach into what the file exported (it may be frozen). */
function copyOf(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, isRecord(child) ? copyOf(child) : child]));
}
