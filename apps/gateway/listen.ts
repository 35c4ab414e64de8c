/** Finds the gateway a port: the configured one, or the next free one, and says which. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MeshError } from '#contracts';

/** How many ports after the configured one are tried. */
const TRIES = 50;

/**
 * Listens on `port` or the first free one after it (0: any).
 * @returns the port in use
 * @throws MeshError `unavailable` when none of the ports can be had.
 */
export async function listenOnFreePort(server: Server, host: string, port: number): Promise<number> {
  const last = Math.min(port + TRIES, 65_535);
  for (let candidate = port; candidate <= last; candidate++) {
    const taken = await tryListen(server, host, candidate);
    if (!taken) return (server.address() as AddressInfo).port;
    if (taken.code !== 'EADDRINUSE') {
      throw new MeshError('unavailable', `The gateway can't listen on ${host}:${candidate}: ${taken.message}`, { cause: taken });
    }
  }
  const tried = port === last ? `Port ${port} on ${host} is taken.` : `No free port from ${port} to ${last} on ${host}.`;
  throw new MeshError('unavailable', `${tried} Set gateway.port to another one.`);
}

function tryListen(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    // Both go after each try: the listeners of fifty failed ones would pile up.
    const settle = (error?: NodeJS.ErrnoException) => {
      server.off('error', failed).off('listening', listening);
      resolve(error);
    };
    const failed = (error: NodeJS.ErrnoException) => settle(error);
    const listening = () => settle();
    server.once('error', failed).once('listening', listening);
    server.listen({ host, port, backlog: 4_096 });
  });
}
