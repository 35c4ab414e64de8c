/** What the gateway keeps beyond a request, and where: JetStream if the bus has it, else memory. */
import type { FactoryProvider } from '@nestjs/common';
import { Bus, type Storage } from '#bus';
import type { Config } from '#config';
import { CONFIG, Logger } from '#runtime';
import { FinishedStreams } from './relay/finished-streams.js';
import { SessionRecords } from './sessions/session-records.js';

/** Injection token of the storage that this gateway chose at its start. */
export const STORAGE = Symbol('storage');

export const STORAGE_PROVIDERS: FactoryProvider[] = [
  { provide: STORAGE, inject: [Bus], useFactory: (bus: Bus) => bus.openStorage() },
  {
    provide: FinishedStreams,
    inject: [STORAGE, CONFIG, Logger],
    useFactory: (storage: Storage, config: Config, log: Logger) => FinishedStreams.open(storage, config.gateway.limits, log),
  },
  {
    provide: SessionRecords,
    inject: [STORAGE, CONFIG],
    useFactory: async (storage: Storage, { gateway: { limits } }: Config) =>
      new SessionRecords(await storage.open({ name: 'sessions', ttlMs: limits.sessionIdleMs, maxEntries: limits.sessions, whenFull: 'refuse' })),
  },
];
