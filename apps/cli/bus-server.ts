/** Where the bus comes from: a NATS server that exists, our broker in this process, or a nats-server as a child. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Broker, startBroker } from '#broker';
import { type BusAccess, startNatsServer } from '#bus';
import type { LoadedConfig } from '#config';

export interface BusServer {
  readonly url: string;
  readonly access: BusAccess;
  /** Ours, where it is. */
  readonly broker?: Broker;
  /** What was chosen and why, a sentence for a person. */
  readonly reason: string;
  close(): Promise<void>;
}

/** @throws MeshError `unavailable` when nats-server can't be started. */
export async function provideBus({ bus, dataDir }: LoadedConfig): Promise<BusServer> {
  if (bus.url !== undefined) {
    const { url, token, user, password, credentialsFile, tls } = bus;
    const access = { token, user, password, credentialsFile, ...(url.includes('tls://') && { tls }) };
    return { url, access, reason: `NATS at ${bus.url}, as configured`, close: async () => undefined };
  }
  if (bus.server === 'nats-server') {
    const server = await startNatsServer(join(dataDir, 'nats'));
    return { url: server.url, access: { token: server.token }, close: () => server.close(), reason: `nats-server at ${server.url}, started with JetStream` };
  }
  const token = bus.token ?? randomBytes(24).toString('base64url');
  const broker = await startBroker({ token });
  return { url: broker.url, access: { token }, broker, reason: `built-in NATS broker at ${broker.url} (no NATS_URL is set)`, close: () => broker.close() };
}
