/** `ollamesh services`: engines described by files, and by which of them the engine is made. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Client, Service } from '#client';
import { type FindOptions, findRunningMesh } from '../find-mesh.js';

type Options = FindOptions & { json?: boolean };

const SOURCES = 'a path, git:<url>#<ref>, github:<owner>/<repository>, or "ollama", which comes with ollamesh';

export function servicesCommand(): Command {
  const services = new Command('services').description('engines described by *.service.yml files: list, start, refresh, stop');
  subcommand(services, 'list', 'list the definitions that are known', { isDefault: true }).action((options: Options) =>
    run(options, (client) => client.services.list(), (all) => all.map(lineOf).join('\n')));
  subcommand(services, 'start', 'make the engine by a definition').argument('<service>', SOURCES).action((service: string, options: Options) =>
    run(options, (client) => client.services.start(here(service)), (started) => `${lineOf(started)}\nHow it goes: ollamesh status`));
  subcommand(services, 'refresh', "fetch a repository's definition again").argument('<service>', SOURCES).action((service: string, options: Options) =>
    run(options, (client) => client.services.refresh(here(service)), lineOf));
  subcommand(services, 'stop', 'go back to the engine that the configuration asks for').action((options: Options) =>
    run(options, (client) => client.services.stop().then(() => client.services.list()), (all) => all.map(lineOf).join('\n')));
  return services;
}

function subcommand(parent: Command, name: string, description: string, options = {}): Command {
  return parent.command(name, options).description(description).option('--url <url>', 'address of the gateway').option('-c, --config <file>', 'config file').option('--json', 'as JSON');
}

async function run<Result>(options: Options, work: (client: Client) => Promise<Result>, text: (result: Result) => string): Promise<void> {
  const client = await findRunningMesh(options);
  if (!client) {
    process.stderr.write('No mesh runs. Start one: ollamesh up\n');
    process.exitCode = 1;
    return;
  }
  const result = await work(client);
  process.stdout.write(`${options.json === true ? JSON.stringify(result, null, 2) : text(result)}\n`);
}

/** A path as the mesh understands it, which may run in another folder. */
function here(service: string): string {
  return existsSync(service) ? resolve(service) : service;
}

function lineOf({ source, name, version, description, image, commit, state, reason }: Service): string {
  if (state === 'unusable') return `✗ ${source}: ${reason ?? 'unusable'}`;
  const from = name === source ? '' : ` (${source}${commit === undefined ? '' : ` at ${commit.slice(0, 12)}`})`;
  return `${state === 'active' ? '●' : '○'} ${name ?? source} ${version ?? ''}${from}: ${description ?? image ?? ''}${state === 'active' ? ', the engine is made by it' : ''}`;
}
