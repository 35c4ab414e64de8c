/** orchestrator: makes an engine exist and stay healthy, with the configured models. */
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { Bus } from '#bus';
import { type LoadedConfig, environment } from '#config';
import { packageRoot } from '#package-root';
import { CONFIG } from '#runtime';
import { DRIVERS, driversFor } from './drivers/driver.js';
import { createDockerDriver } from './drivers/docker.js';
import { createEmbeddedDriver } from './drivers/embedded.js';
import { createExternalDriver } from './drivers/external.js';
import { EngineKeeper } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { EngineHealth } from './health.js';
import { OrchestratorController } from './orchestrator.controller.js';
import { RequiredModels } from './required-models.js';

@Module({
  controllers: [OrchestratorController],
  providers: [
    EngineRecord,
    EngineKeeper,
    { provide: EngineHealth, inject: [CONFIG], useFactory: ({ engine }: LoadedConfig) => new EngineHealth(engine) },
    { provide: RequiredModels, inject: [Bus, CONFIG], useFactory: (bus: Bus, { models }: LoadedConfig) => new RequiredModels(bus, models) },
    {
      provide: DRIVERS,
      inject: [CONFIG, RequiredModels],
      useFactory: ({ engine, dataDir, node }: LoadedConfig, { wanted }: RequiredModels) => driversFor(engine.driver, [
        createExternalDriver(engine),
        createDockerDriver({ config: engine, node, dockerHost: environment()['DOCKER_HOST'] }),
        createEmbeddedDriver({
          config: engine,
          program: join(packageRoot(), 'dist/apps/embedded-engine/main.js'),
          store: join(dataDir, 'engine'),
          wanted,
        }),
      ]),
    },
  ],
})
export class OrchestratorModule {}
