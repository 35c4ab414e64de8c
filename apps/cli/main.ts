#!/usr/bin/env node
/** The `ollamesh` command. */
import { Command } from 'commander';
import { MeshError } from '#contracts';
import { packageVersion } from '#package-root';
import { benchCommand } from './commands/bench.js';
import { cacheCommand } from './commands/cache.js';
import { chatCommand } from './commands/chat.js';
import { completionCommand } from './commands/completion.js';
import { devCommand } from './commands/dev.js';
import { doctorCommand } from './commands/doctor.js';
import { downCommand } from './commands/down.js';
import { gpuCommand } from './commands/gpu.js';
import { initCommand } from './commands/init.js';
import { keysCommand } from './commands/keys.js';
import { logsCommand } from './commands/logs.js';
import { modelsCommand, pullCommand } from './commands/models.js';
import { nodeCommand } from './commands/node.js';
import { servicesCommand } from './commands/services.js';
import { statusCommand } from './commands/status.js';
import { upCommand } from './commands/up.js';

const program = new Command('ollamesh')
  .description('A local LLM for every dev server, and one token stream for as many viewers as want it.')
  .version(packageVersion())
  .showHelpAfterError('(--help shows how)')
  .enablePositionalOptions()
  .addCommand(upCommand())
  .addCommand(downCommand())
  .addCommand(logsCommand())
  .addCommand(chatCommand())
  .addCommand(modelsCommand())
  .addCommand(pullCommand())
  .addCommand(statusCommand())
  .addCommand(servicesCommand())
  .addCommand(gpuCommand())
  .addCommand(keysCommand())
  .addCommand(cacheCommand())
  .addCommand(doctorCommand())
  .addCommand(devCommand())
  .addCommand(nodeCommand())
  .addCommand(benchCommand())
  .addCommand(initCommand())
  .addCommand(completionCommand());

try {
  await program.parseAsync();
} catch (thrown) {
  const error = MeshError.from(thrown);
  process.stderr.write(`${error.code === 'internal' ? (error.cause instanceof Error ? error.cause.stack : error.message) : error.message}\n`);
  process.exitCode = 1;
}
