/** Where a configuration and a mesh's data are. It loads no schema, so that joining a mesh that runs needs none. */
import { existsSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { Environment } from './environment.js';

/** Of config files, in order of precedence, should a folder hold several. */
export const CONFIG_EXTENSIONS = ['.ts', '.js', '.mjs', '.json', '.yaml', '.yml'];

/** The config files of a folder, absolute; the first one counts. */
export function configFilesIn(folder: string): string[] {
  return CONFIG_EXTENSIONS.map((extension) => join(folder, `ollamesh.config${extension}`)).filter((path) => existsSync(path));
}

/** A path as a person wrote it, which may begin with ~, made absolute. @param from what a relative one starts from */
export function absolutePath(written: string, from: string, home: string): string {
  return resolve(from, written.replace(/^~(?=$|[\\/])/, () => home));
}

/** The data folder, absolute. */
export function dataDirOf(configured: string | undefined, from: string, home: string): string {
  return configured === undefined ? join(home, '.ollamesh') : absolutePath(configured, from, home);
}

const DATA_DIR = 'OLLAMESH_DATA_DIR';
/** Variables that other parts of ollamesh read and that set nothing: clients find their gateway by OLLAMESH_URL and show it OLLAMESH_API_KEY. */
export const NO_SETTINGS: ReadonlySet<string> = new Set(['OLLAMESH_URL', 'OLLAMESH_API_KEY']);

/** The data folder where neither a config file nor a variable of ollamesh's could say another one; undefined where the loader has to be asked. */
export function unconfiguredDataDir(folder: string, env: Environment, home: string): string | undefined {
  const dataDir = env[DATA_DIR]?.trim() || undefined;
  const isSet = Object.entries(env).some(([name, value]) => name.startsWith('OLLAMESH_') && name !== DATA_DIR && !NO_SETTINGS.has(name) && value?.trim());
  if (isSet || (dataDir !== undefined && !isAbsolute(dataDir)) || configFilesIn(folder).length > 0) return undefined;
  return dataDirOf(dataDir, folder, home);
}
