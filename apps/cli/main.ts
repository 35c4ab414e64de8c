#!/usr/bin/env node
/** The `ollamesh` command. */
import { Command } from 'commander';
import { MeshError } from '#mesh-error';
import { packageVersion } from '#package-root';

/** Each with what loads it: only the one that is named is loaded, all of them where help or completion tells of all. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./commands/up.js')).upCommand(),
  down: async () => (await import('./commands/down.js')).downCommand(),
  logs: async () => (await import('./commands/logs.js')).logsCommand(),
  chat: async () => (await import('./commands/chat.js')).chatCommand(),
  models: async () => (await import('./commands/models.js')).modelsCommand(),
  pull: async () => (await import('./commands/models.js')).pullCommand(),
  status: async () => (await import('./commands/status.js')).statusCommand(),
  services: async () => (await import('./commands/services.js')).servicesCommand(),
  gpu: async () => (await import('./commands/gpu.js')).gpuCommand(),
  keys: async () => (await import('./commands/keys.js')).keysCommand(),
  cache: async () => (await import('./commands/cache.js')).cacheCommand(),
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand(),
  dev: async () => (await import('./commands/dev.js')).devCommand(),
  node: async () => (await import('./commands/node.js')).nodeCommand(),
  bench: async () => (await import('./commands/bench.js')).benchCommand(),
  init: async () => (await import('./commands/init.js')).initCommand(),
  completion: async () => (await import('./commands/completion.js')).completionCommand(),
};

const program = new Command('ollamesh')
  .description('A local LLM for every dev server, and one token stream for as many viewers as want it.')
  .version(packageVersion())
  .showHelpAfterError('(--help shows how)')
  .enablePositionalOptions();

const [, , named = ''] = process.argv;
const needed = named !== 'completion' && Object.hasOwn(COMMANDS, named) ? [COMMANDS[named]] : Object.values(COMMANDS);
for (const load of needed) if (load) program.addCommand(await load());

try {
  await program.parseAsync();
} catch (thrown) {
  const error = MeshError.from(thrown);
  process.stderr.write(`${error.code === 'internal' ? (error.cause instanceof Error ? error.cause.stack : error.message) : error.message}\n`);
  process.exitCode = 1;
}
