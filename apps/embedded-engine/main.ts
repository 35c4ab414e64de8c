/** The embedded engine's process: Ollama's API over llama.cpp, started by the orchestrator and gone when the orchestrator is. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { EngineListening, EngineModelStage } from '#contracts';
import { packageRoot } from '#package-root';
import { engineRoutes } from './api/routes.js';
import { Admission } from './engine/admission.js';
import { Engine } from './engine/engine.js';
import { LlamaBackend } from './engine/llama.js';
import { Residency } from './engine/residency.js';
import { parseFlags, type Flags } from './flags.js';
import { engineServer } from './http/server.js';
import { RegistryClient } from '#registry';
import { Puller } from './registry/puller.js';
import { plantAgain, seed } from './store/seed.js';
import { sweep } from './store/sweep.js';
import { Store } from './store/store.js';

/** Models in memory at once. */
const MAX_LOADED = 3;
/** Part of the machine's memory, or of what this process is allowed, that models may take. */
const MEMORY_SHARE = 0.9;
/** A stop takes no longer (ms), whatever a generation is in the middle of. */
const STOP_MS = 1_500;

async function main(flags: Flags): Promise<void> {
  const root = packageRoot();
  const store = new Store(flags.store, flags.readOnly);
  const bounds = { maxLoaded: MAX_LOADED, memory: memoryLimit() * MEMORY_SHARE, available: () => process.availableMemory() };
  const residency = new Residency(new LlamaBackend(), flags.parallel, flags.keepMs, bounds, (model, stage) => announce({ type: 'model', model: model.label, stage }, stop));
  const engine = new Engine(store, residency, new Admission(flags.parallel, flags.maxQueue));
  const stopping = new AbortController();
  const version = engineVersion(root);
  const bundle = [join(root, 'apps/embedded-engine/models'), join(root, 'LICENSE')] as const;
  const puller = new Puller(store, new RegistryClient({ userAgent: `ollamesh/${version} (${process.arch} ${process.platform}) Node/${process.versions.node}` }));
  const pulls = { store, puller, restoreBundled: () => plantAgain(store, ...bundle) };
  const server = engineServer(engineRoutes(engine, version, pulls), stopping.signal);

  // Before anything is waited for: a parent that is gone by now must not leave an orphan.
  const stop = (): void => {
    if (!stopping.signal.aborted) void stopAll(server, stopping, residency);
  };
  // Not `once`: a library that counts the signal's listeners would see none left and kill the process itself.
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', stop);

  await seed(store, ...bundle);
  server.listen(flags.port, flags.host);
  await once(server, 'listening');
  announce({ type: 'listening', url: urlOf(server.address() as AddressInfo), version }, stop);
  await tidyUp(store).catch((error: unknown) => say(error instanceof Error ? error.message : String(error)));
}

/** What nobody waits for: remains of old pulls go, and the log says which models on disk can't be used. */
async function tidyUp(store: Store): Promise<void> {
  await sweep(store, Date.now());
  for (const { label, root, reason } of await store.unusable()) say(`${label} in ${root} cannot be used: ${reason}`);
}

function say(text: string): void {
  process.stderr.write(`embedded engine: ${text}\n`);
}

/** `<package version>-embedded`: a semantic version with a pre-release part, so that tools that parse Ollama's version can parse it. */
function engineVersion(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return `${version}-embedded`;
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** @param orphaned called when the parent has gone, which nobody else notices when it went before this process listened for that */
function announce(message: EngineListening | EngineModelStage, orphaned: () => void): void {
  if (process.send !== undefined) process.send(message, (error: Error | null) => error !== null && orphaned());
  else if (message.type === 'listening') process.stdout.write(`${message.url}\n`);
}

/** Bytes; a container's limit counts where there is one. */
function memoryLimit(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}

/** Politely first: streams are cut, evaluations end at their next token; then for sure. */
async function stopAll(server: Server, stopping: AbortController, residency: Residency): Promise<void> {
  const overdue = setTimeout(() => process.exit(0), STOP_MS);
  server.close();
  stopping.abort();
  server.closeAllConnections();
  await residency.closed();
  clearTimeout(overdue);
  process.exit(0);
}

try {
  await main(parseFlags(process.argv.slice(2)));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
