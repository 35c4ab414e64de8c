/** model-manager: owns all talk with the engine about models and inference, and publishes token frames. */
import { Module } from '@nestjs/common';
import { Bus } from '#bus';
import type { LoadedConfig } from '#config';
import { CONFIG, Logger, packageVersion } from '#runtime';
import { Announcer } from './announcer.js';
import { BenchmarkStore } from './benchmark-store.js';
import { BenchmarksController } from './benchmarks.controller.js';
import { BENCHMARK_STORE, Benchmarks } from './benchmarks.js';
import { Catalogue } from './catalogue.js';
import { EngineExchanges } from './engine-exchanges.js';
import { EngineExchangesController } from './engine-exchanges.controller.js';
import { EngineLink } from './engine-link.js';
import { ModelManagerController } from './model-manager.controller.js';
import { NodesController } from './nodes.controller.js';
import { Peers } from './peers.js';
import { Producers } from './producers.js';
import { USUAL_PATIENCE } from './pull-policy.js';
import { OllamaProvider } from './providers/ollama-provider.js';
import { Routes } from './providers/routes.js';
import { PullWishes } from './pull-wishes.js';
import { PULL_SETUP, type PullSetup, Pulls } from './pulls.js';
import { ResidencyController } from './residency.controller.js';
import { Residency } from './residency.js';
import { Turns } from './scheduling/turns.js';
import { createRegistryLookup } from './registry-lookup.js';

const PULLS = {
  provide: PULL_SETUP,
  inject: [Bus, CONFIG, Logger],
  useFactory: ({ node }: Bus, { dataDir }: LoadedConfig, log: Logger): PullSetup => ({
    patience: USUAL_PATIENCE,
    lookup: createRegistryLookup(`ollamesh/${packageVersion()}`),
    wishes: new PullWishes(dataDir, node, (message) => log.warn(message)),
  }),
};

const BENCHMARKS = {
  provide: BENCHMARK_STORE,
  inject: [Bus, CONFIG, Logger],
  useFactory: ({ node }: Bus, { dataDir }: LoadedConfig, log: Logger) => new BenchmarkStore(dataDir, node, (message) => log.warn(message)),
};

@Module({ controllers: [ModelManagerController, ResidencyController, EngineExchangesController, NodesController, BenchmarksController], providers: [EngineLink, Residency, Turns, Catalogue, PULLS, Pulls, Peers, OllamaProvider, Routes, Producers, Announcer, BENCHMARKS, Benchmarks, EngineExchanges] })
export class ModelManagerModule {}
