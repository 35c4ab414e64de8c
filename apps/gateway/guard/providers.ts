/** The guards as the gateway's module has them. */
import type { Provider } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { CONFIG, Logger } from '#runtime';
import { Admission } from './admission.js';
import { KeyRing } from './key-ring.js';
import { OpenConnections } from './open-connections.js';
import { refuseOpenNetwork } from './open-network.js';
import { SecurityLog } from './security-log.js';

export const GUARD_PROVIDERS: Provider[] = [
  {
    provide: KeyRing,
    inject: [CONFIG, Logger],
    useFactory: async (config: LoadedConfig, logger: Logger) => {
      const ring = new KeyRing(config, logger);
      await ring.load();
      refuseOpenNetwork(config.gateway, ring.hasValidKey());
      return ring;
    },
  },
  Admission,
  OpenConnections,
  { provide: SecurityLog, inject: [Logger], useFactory: (logger: Logger) => new SecurityLog(logger) },
];
