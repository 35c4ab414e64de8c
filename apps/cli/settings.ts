/** The options that every command shares, and the configuration they make with file and environment. */
import { Command, Option } from 'commander';
import type { ConfigLoaded, Flag } from '#config';
import { environment } from '#environment';

export interface SharedOptions {
  readonly config?: string;
  readonly engine?: string;
  readonly engineUrl?: string;
  readonly host?: string;
  readonly port?: string;
  readonly model?: string;
  readonly node?: string;
  readonly logLevel?: string;
  /** This folder's own mesh instead of the user's. */
  readonly isolated?: boolean;
}

/** Those of them that say how a mesh is set. */
const SETTINGS = ['config', 'engine', 'engineUrl', 'host', 'port', 'node', 'logLevel', 'isolated'] as const satisfies (keyof SharedOptions)[];

export function hasSettings(options: SharedOptions): boolean {
  return SETTINGS.some((name) => options[name] !== undefined);
}

/** Adds the options that say how a mesh is started. */
export function withMeshOptions(command: Command): Command {
  return command
    .addOption(new Option('-c, --config <file>', 'config file (default: ollamesh.config.* in this folder)'))
    .addOption(new Option('--isolated', 'a mesh of this folder alone, with its own settings and models'))
    .addOption(new Option('--engine <driver>', 'which engine to use').choices(['auto', 'docker', 'native', 'external', 'embedded']))
    .addOption(new Option('--engine-url <url>', 'an Ollama that runs already'))
    .addOption(new Option('--host <address>', 'where the gateway listens; beyond 127.0.0.1 it takes an API key (ollamesh keys create)'))
    .addOption(new Option('--port <port>', 'port of the gateway; the next free one if taken (default: 11435)'))
    .addOption(new Option('--node <name>', "this machine's name on the bus"))
    .addOption(new Option('--log-level <level>', 'how much is logged on standard error').choices(['fatal', 'error', 'warn', 'info', 'debug', 'trace']));
}

/** @throws ConfigError that lists every problem at once. */
export async function loadSettings(options: SharedOptions): Promise<ConfigLoaded> {
  const flags: Flag[] = [
    { name: '--engine', path: 'engine.driver', value: options.engine },
    { name: '--engine-url', path: 'engine.url', value: options.engineUrl },
    { name: '--host', path: 'gateway.host', value: options.host },
    { name: '--port', path: 'gateway.port', value: options.port },
    { name: '--node', path: 'node', value: options.node },
    { name: '--log-level', path: 'log.level', value: options.logLevel },
  ];
  const { loadConfig } = await import('#config'); // Loads the schema, which a command that joins a mesh does not need.
  return await loadConfig({ cwd: process.cwd(), env: environment(), flags, ...(options.config !== undefined && { file: options.config }) });
}
