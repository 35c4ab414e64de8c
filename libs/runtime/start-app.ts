/** Starts a Nest app of the mesh: its module with bus, configuration and logger, on the bus and (the gateway) on HTTP. */
import 'reflect-metadata';
import { type DynamicModule, type INestApplicationContext, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Bus, BusTransport, MeshErrorFilter } from '#bus';
import type { ConfigLoaded, LoadedConfig } from '#config';
import { AppMetrics } from './app-metrics.js';
import { Logger } from './logger.js';

/** Injection token of the validated configuration. */
export const CONFIG = Symbol('ollamesh config');
/** Injection token of the file that it came from; `null` where there is none. */
export const CONFIG_FILE = Symbol('ollamesh config file');

export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  /** The configuration that it makes now. @throws ConfigError */
  reload(): Promise<LoadedConfig>;
}

/** The file of a configuration, for whoever watches it. */
export function configFileOf({ file, reload }: ConfigLoaded): ConfigFile | undefined {
  return file === undefined ? undefined : { path: file, reload: async () => (await reload()).config };
}

/** What an app gets from whoever starts it; the starter owns the bus and closes it after the app. */
export interface Runtime {
  readonly bus: Bus;
  readonly config: LoadedConfig;
  readonly configFile?: ConfigFile | undefined;
  readonly logger: Logger;
}

export interface RunningApp {
  /** Where users reach it, for an app that listens for them. */
  readonly url?: string;
  /** Where it keeps what outlives a request, and what that means; a sentence's end, for an app that keeps something. */
  readonly keeps?: string;
  readonly context: INestApplicationContext;
  /** Takes no more messages, finishes those in flight, runs the app's own shutdown. Idempotent. */
  close(): Promise<void>;
}

@Module({})
class RuntimeModule {}

/** The app's module with what the runtime provides in reach of all of it. */
export function withRuntime(appModule: Type, { bus, config, configFile, logger }: Runtime): DynamicModule {
  const providers = [
    { provide: Bus, useValue: bus },
    { provide: CONFIG, useValue: config },
    { provide: CONFIG_FILE, useValue: configFile ?? null },
    { provide: Logger, useValue: logger },
    { provide: AppMetrics, useValue: new AppMetrics(bus) },
  ];
  return { module: RuntimeModule, global: true, imports: [appModule], providers, exports: providers };
}

/** Starts an app that only the bus reaches. */
export async function startMicroservice(appModule: Type, runtime: Runtime): Promise<RunningApp> {
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(withRuntime(appModule, runtime), {
    strategy: new BusTransport(runtime.bus),
    logger: runtime.logger,
    abortOnError: false,
  });
  app.useGlobalFilters(new MeshErrorFilter());
  await app.listen();
  return { context: app, close: once(() => app.close()) };
}

/** Runs `close` the first time and answers every later call with the same outcome. */
export function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => (closing ??= close());
}
