/** A gateway's guard as it is, over the configuration and key file of a test. */
import { Config, type LoadedConfig } from '#config';
import { Logger } from '#runtime';
import { Admission } from '../../apps/gateway/guard/admission.js';
import { KeyRing } from '../../apps/gateway/guard/key-ring.js';
import { OpenConnections } from '../../apps/gateway/guard/open-connections.js';
import { SecurityLog } from '../../apps/gateway/guard/security-log.js';

export interface GuardParts {
  readonly config: LoadedConfig;
  readonly ring: KeyRing;
  readonly admission: Admission;
  readonly connections: OpenConnections;
  readonly log: SecurityLog;
  /** Every line that was logged, as JSON. */
  readonly lines: Record<string, unknown>[];
}

export function guardParts(input: Parameters<typeof Config.parse>[0] = {}, dataDir = '/nonexistent'): GuardParts {
  const config: LoadedConfig = { ...Config.parse(input), dataDir };
  const lines: Record<string, unknown>[] = [];
  const logger = new Logger({ app: 'gateway', level: 'info', format: 'json', write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const ring = new KeyRing(config, logger);
  const admission = new Admission(ring, config);
  return { config, ring, admission, connections: new OpenConnections(admission, ring), log: new SecurityLog(logger), lines };
}
