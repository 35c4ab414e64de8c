/** orchestrator: makes an engine exist and stay healthy, with the configured models. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { Bus } from '#bus';
import { type EngineConfig, type LoadedConfig, environment } from '#config';
import { packageRoot } from '#package-root';
import { CONFIG, Logger } from '#runtime';
import { ConfigWatch } from './config-watch.js';
import { createDockerDriver } from './drivers/docker.js';
import { createEmbeddedDriver } from './drivers/embedded.js';
import { engineLog } from './drivers/engine-log.js';
import { createExternalDriver } from './drivers/external.js';
import { createNativeDriver } from './drivers/native.js';
import { ENGINE_SETUP, EngineKeeper, type EngineSetup } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { GpuOffer } from './gpu-offer.js';
import { OrchestratorController } from './orchestrator.controller.js';
import { Services } from './services/services.js';
import { serviceDescriber } from './services/describe.js';
import { USUAL_TIMINGS } from './timings.js';

@Module({
  controllers: [OrchestratorController],
  providers: [
    EngineRecord,
    EngineKeeper,
    ConfigWatch,
    Services,
    {
      provide: ENGINE_SETUP,
      inject: [Bus, CONFIG, Logger],
      useFactory: (bus: Bus, config: LoadedConfig, logger: Logger): EngineSetup => {
        const gpus = new GpuOffer(bus, join(config.dataDir, 'gpu-offer.json'));
        return { drivers: (engine) => driversFor(engine, config, engineLog(logger), gpus), gpus, timings: USUAL_TIMINGS };
      },
    },
  ],
})
export class OrchestratorModule {}

function driversFor(config: EngineConfig, { dataDir, node }: LoadedConfig, log: (line: string) => void, gpus: GpuOffer) {
  const env = environment();
  const machine = { platform: process.platform, home: homedir() };
  return [
    createExternalDriver(config),
    createDockerDriver({ config, described: serviceDescriber(dataDir), node, dockerHost: env['DOCKER_HOST'], gpus: (signal) => gpus.candidates(signal), log }),
    createNativeDriver({ config, env, ...machine, pidFile: join(dataDir, 'native-engine.json'), hasGpu: (signal) => gpus.any(signal), log }),
    createEmbeddedDriver({
      config,
      program: join(packageRoot(), 'dist/apps/embedded-engine/main.js'),
      store: join(dataDir, 'engine'),
      ollamaModels: env['OLLAMA_MODELS'] || join(homedir(), '.ollama/models'),
      metal: process.platform === 'darwin' && process.arch === 'arm64',
      log,
    }),
  ];
}
