/** `ollamesh cache`: what the gateway's response cache holds and saves, and how to empty it. */
import { Command } from 'commander';
import type { Client } from '#client';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';

type CacheOptions = FindOptions & { json?: boolean };

export function cacheCommand(): Command {
  return withCacheOptions(new Command('cache').description('what the response cache of the mesh that runs holds, and how often it had the answer'))
    .addCommand(withCacheOptions(new Command('clear').description('forget every answer')).action(clear))
    .action(show);
}

function withCacheOptions(command: Command): Command {
  return command.option('--url <url>', 'address of the gateway').option('-c, --config <file>', 'config file').option('--json', 'as JSON');
}

async function show(options: CacheOptions): Promise<void> {
  const client = await running(options);
  if (!client) return;
  const stats = await client.cacheStats();
  if (options.json) {
    process.stdout.write(`${JSON.stringify(stats, null, 2)}\n`);
    return;
  }
  const { enabled, entries, bytes, maxBytes, hits, misses, bypassed, hitRate, evicted } = stats;
  process.stdout.write(
    [
      ...(enabled ? [] : ['The cache is switched off (gateway.cache.enabled).']),
      `${entries} answers in ${megabytes(bytes)} of ${megabytes(maxBytes)}; ${evicted} made room for others`,
      `${hits} of the ${hits + misses} requests that were looked up had their answer here (${(hitRate * 100).toFixed(1)} %); ${bypassed} were not looked up`,
      '',
    ].join('\n'),
  );
}

async function clear(options: CacheOptions): Promise<void> {
  const client = await running(options);
  if (!client) return;
  await client.clearCache();
  process.stdout.write(options.json ? '{"cleared":true}\n' : 'The cache is empty.\n');
}

async function running(options: CacheOptions): Promise<Client | undefined> {
  const client = await findRunningMesh(options);
  if (client) return client;
  process.stdout.write(options.json ? '{"running":false}\n' : 'No mesh runs. Start one: ollamesh up\n');
  process.exitCode = 1;
  return undefined;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
