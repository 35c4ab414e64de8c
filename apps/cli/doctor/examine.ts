/** The whole examination: every check of this machine and its configuration, in the order a person reads them. */
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { ConfigError, type LoadedConfig, environment } from '#config';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';
import { readHardware } from '../read-hardware.js';
import { loadSettings } from '../settings.js';
import { type Check, type Result, runChecks } from './check.js';
import { diskChecks, hardwareChecks, nodeCheck, ollamaCheck } from './machine-checks.js';
import { busCheck, engineCheck, meshCheck, portCheck, registryCheck } from './network-checks.js';

/** How long any check may take, in milliseconds. */
const LIMIT_MS = 8_000;

/** @param oldestNode such as "20.19" */
export async function examine(options: FindOptions, oldestNode: string): Promise<Result[]> {
  const node = nodeCheck(process.versions.node, oldestNode);
  const { config, file, problem } = await settingsOf(options);
  if (!config) return await runChecks([node, { name: 'config', run: async () => ({ state: 'fail', detail: problem, next: 'Correct the settings named above; docs/configuration.md has all of them' }) }], LIMIT_MS);
  const running = await findRunningMesh(options).catch(() => undefined); // The one named with --url does not answer: the mesh check says so.
  let reading: ReturnType<typeof readHardware> | undefined;
  const checks: Check[] = [
    node,
    { name: 'config', run: async () => ({ state: 'ok', detail: file ? `${file} is valid.` : 'Defaults and environment: no config file.' }) },
    ...diskChecks(config),
    ...hardwareChecks(() => (reading ??= readHardware(options)), config),
    ollamaCheck(config, { env: environment(), platform: process.platform, home: homedir() }),
    builtInEngineCheck(config),
    meshCheck(running?.url),
    portCheck(config, running !== undefined),
    busCheck(config),
    engineCheck(config),
    registryCheck(),
  ];
  return await runChecks(checks, LIMIT_MS);
}

async function settingsOf(options: FindOptions): Promise<{ config?: LoadedConfig; file?: string; problem: string }> {
  try {
    const { config, file } = await loadSettings(options);
    return { config, ...(file !== undefined && { file }), problem: '' };
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return { problem: thrown.message };
  }
}

function builtInEngineCheck({ engine }: Pick<LoadedConfig, 'engine'>): Check {
  return {
    name: 'llama.cpp',
    run: async () => {
      try {
        createRequire(import.meta.url).resolve('node-llama-cpp');
        return { state: 'ok', detail: 'The built-in engine is installed.' };
      } catch {
        return { state: engine.driver === 'embedded' ? 'fail' : 'warn', detail: 'The built-in engine (node-llama-cpp) is not installed.', next: 'npm install (without --omit=optional)' };
      }
    },
  };
}
