/** Who can reach the address that a gateway listens on, and the refusal to listen where that is anyone. Pure. */
import { isIP } from 'node:net';
import type { GatewayConfig } from '#config';
import { MeshError } from '#contracts';

/** True for an address that only this machine reaches. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Beyond loopback there are no anonymous users. @throws MeshError `invalid_request` */
export function refuseOpenNetwork({ host, trustedNetwork }: Pick<GatewayConfig, 'host' | 'trustedNetwork'>, hasValidKey: boolean): void {
  if (trustedNetwork || hasValidKey || isLoopbackHost(host)) return;
  throw new MeshError(
    'invalid_request',
    `The gateway would listen on ${host}, where anyone who can reach it could use it. Make an API key first: ollamesh keys create <name>. ` +
      '(Or keep gateway.host on 127.0.0.1; or, on a network where everyone may, set gateway.trustedNetwork to true.)',
  );
}
