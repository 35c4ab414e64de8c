/** model-manager's parts on a test's bus, with an orchestrator that points at a fake engine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Config, type LoadedConfig } from '#config';
import { type Engine, EngineDescribe } from '#contracts';
import { Logger } from '#runtime';
import { Catalogue } from '../../apps/model-manager/catalogue.js';
import { EngineLink } from '../../apps/model-manager/engine-link.js';
import { Producers } from '../../apps/model-manager/producers.js';
import type { PullPatience } from '../../apps/model-manager/pull-policy.js';
import { PullWishes } from '../../apps/model-manager/pull-wishes.js';
import { type PullSetup, Pulls } from '../../apps/model-manager/pulls.js';
import { OllamaProvider } from '../../apps/model-manager/providers/ollama-provider.js';
import { Routes } from '../../apps/model-manager/providers/routes.js';
import { Announcer } from '../../apps/model-manager/announcer.js';
import { Peers } from '../../apps/model-manager/peers.js';
import { Residency } from '../../apps/model-manager/residency.js';
import { Turns } from '../../apps/model-manager/scheduling/turns.js';
import type { FakeOllama } from './fake-ollama.js';
import type { TestBus } from './test-bus.js';

export function engineAt(url: string | undefined, node = 'local'): Engine {
  const since = '2026-01-01T00:00:00Z';
  return { node, state: url ? 'ready' : 'absent', reason: 'As the test says.', since, choices: [], models: [], ...(url !== undefined && { url }) };
}

/** Pulls give up soon, so that a test need not wait for what a person would. */
export const HASTE: PullPatience = { tries: 2, firstMs: 10, longestMs: 50, engineAwayMs: 300, stallToldMs: 100, stallMs: 400, verifyMs: 5_000 };

export interface PartsOptions {
  /** The configuration's `models`. */
  readonly models?: object;
  readonly engineConfig?: object;
  readonly providers?: object;
  readonly routing?: object;
  readonly pulls?: Partial<PullSetup>;
  /** Kept by whoever gives it. */
  readonly dataDir?: string;
  readonly node?: string;
  /** False: nobody says where the engine is. */
  readonly orchestrator?: boolean;
}

export async function modelManagerParts(net: TestBus, engine: FakeOllama, { models = {}, engineConfig = {}, providers = {}, routing = {}, pulls: pullSetup, dataDir: given, node = 'local', orchestrator: isThere = true }: PartsOptions = {}) {
  const dataDir = given ?? (await mkdtemp(join(tmpdir(), 'ollamesh-parts-')));
  const orchestrator = await net.connect('orchestrator', node);
  if (isThere) orchestrator.serve(EngineDescribe, () => engineAt(engine.url, node));
  await orchestrator.flush();
  const bus = await net.connect('model-manager', node);
  const config: LoadedConfig = { ...Config.parse({ models, engine: engineConfig, providers, routing }), dataDir };
  const link = new EngineLink(bus);
  const warnings: string[] = [];
  const log = new Logger({ app: 'model-manager', level: 'warn', format: 'line', write: (line) => void warnings.push(line) });
  const residency = new Residency(link, config, log);
  const catalogue = new Catalogue(link, residency, config);
  const turns = new Turns(link, residency, config);
  const peers = new Peers(bus);
  const announcer = new Announcer(bus, link, catalogue, residency, turns);
  residency.onApplicationBootstrap();
  turns.onApplicationBootstrap();
  const wishes = new PullWishes(dataDir, node, (message) => void warnings.push(message));
  const setup: PullSetup = { patience: HASTE, lookup: async () => undefined, wishes, ...pullSetup };
  const pulls = new Pulls(bus, link, catalogue, config, setup);
  const own = new OllamaProvider(link, catalogue, residency, turns);
  const routes = new Routes(bus, own, config, log);
  const producers = new Producers(bus, own, peers, routes);
  const close = async () => {
    await producers.onApplicationShutdown();
    await routes.onApplicationShutdown();
    turns.onApplicationShutdown();
    await residency.onApplicationShutdown();
    await pulls.onApplicationShutdown();
    if (given === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  return { bus, link, catalogue, config, dataDir, warnings, close, pulls, residency, turns, peers, announcer, own, routes, producers };
}
