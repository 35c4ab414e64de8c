/** orchestrator: makes an engine exist and stay healthy, with the configured models. */
import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { type LoadedConfig, environment } from '#config';
import { packageRoot } from '#package-root';
import { CONFIG } from '#runtime';
import { DRIVERS, type Driver } from './drivers/driver.js';
import { createDockerDriver } from './drivers/docker.js';
import { createEmbeddedDriver } from './drivers/embedded.js';
import { createExternalDriver } from './drivers/external.js';
import { EngineKeeper } from './engine-keeper.js';
import { EngineRecord } from './engine-record.js';
import { OrchestratorController } from './orchestrator.controller.js';

@Module({
  controllers: [OrchestratorController],
  providers: [
    EngineRecord,
    EngineKeeper,
    {
      provide: DRIVERS,
      inject: [CONFIG],
      useFactory: ({ engine, dataDir, node }: LoadedConfig): Driver[] => [
        createExternalDriver(engine),
        createDockerDriver({ config: engine, node, dockerHost: environment()['DOCKER_HOST'] }),
        createEmbeddedDriver({
          config: engine,
          program: join(packageRoot(), 'dist/apps/embedded-engine/main.js'),
          store: join(dataDir, 'engine'),
        }),
      ],
    },
  ],
})
export class OrchestratorModule {}
