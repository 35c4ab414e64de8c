/** orchestrator: makes an engine exist and stay healthy, with the configured models. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { type LoadedConfig, environment } from '#config';
import { packageRoot } from '#package-root';
import { CONFIG } from '#runtime';
import { createDockerDriver } from './drivers/docker.js';
import { createEmbeddedDriver } from './drivers/embedded.js';
import { createExternalDriver } from './drivers/external.js';
import { ENGINE_SETUP, EngineKeeper, type EngineSetup } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { OrchestratorController } from './orchestrator.controller.js';
import { USUAL_TIMINGS } from './timings.js';

@Module({
  controllers: [OrchestratorController],
  providers: [
    EngineRecord,
    EngineKeeper,
    {
      provide: ENGINE_SETUP,
      inject: [CONFIG],
      useFactory: ({ engine, dataDir, node }: LoadedConfig): EngineSetup => ({
        drivers: [
          createExternalDriver(engine),
          createDockerDriver({ config: engine, node, dockerHost: environment()['DOCKER_HOST'] }),
          createEmbeddedDriver({
            config: engine,
            program: join(packageRoot(), 'dist/apps/embedded-engine/main.js'),
            store: join(dataDir, 'engine'),
            ollamaModels: environment()['OLLAMA_MODELS'] || join(homedir(), '.ollama/models'),
            metal: process.platform === 'darwin' && process.arch === 'arm64',
          }),
        ],
        timings: USUAL_TIMINGS,
      }),
    },
  ],
})
export class OrchestratorModule {}
