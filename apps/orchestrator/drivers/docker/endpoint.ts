/** Where a Docker engine may listen on this machine, and which one answers. Looks at the socket before dockerode (heavy) is loaded. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { socketsOf as hardwareSocketsOf } from '#hardware';
import type Docker from 'dockerode';
import { bounded } from './bounded.js';
import { errnoOf, wordsOf } from './failure.js';

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  /** Numeric user id; undefined on Windows. */
  readonly uid: number | undefined;
}

/** A socket that answered. */
export interface Endpoint {
  readonly socket: string;
  readonly docker: Docker;
}

/** The sockets to look at, best first, or why there are none. `dockerHost` is the value of DOCKER_HOST. */
export function socketsOf(dockerHost: string | undefined, machine: Machine): readonly string[] | { readonly notMe: string } {
  const sockets = hardwareSocketsOf({ dockerHost, ...machine });
  // A remote daemon would publish the engine on its own loopback, out of our reach.
  return sockets.length > 0 ? sockets : { notMe: `DOCKER_HOST is ${dockerHost}, but only a Docker engine on this machine is used: set engine.url to attach to one elsewhere` };
}

/** The first socket with a Docker engine behind it, or why none has, a clause for a person. */
export async function findDocker(sockets: readonly string[], limitMs: number, signal: AbortSignal): Promise<Endpoint | { readonly notMe: string }> {
  const reasons: string[] = [];
  for (const socket of sockets) {
    try {
      if (!socket.startsWith('//')) await access(socket, constants.R_OK | constants.W_OK);
      const docker = await connect(socket);
      await bounded((abortSignal) => ping(docker, abortSignal), { limitMs, outer: signal });
      return { socket, docker };
    } catch (thrown) {
      const reason = reasonOf(thrown, socket);
      if (reason) reasons.push(reason);
      if (signal.aborted) break;
    }
  }
  return { notMe: reasons.join('; ') || `no Docker socket (looked at ${sockets.join(', ')})` };
}

async function connect(socketPath: string): Promise<Docker> {
  const { default: Dockerode } = await import('dockerode');
  // dockerode reads DOCKER_HOST itself; naming host and port keeps it from going anywhere but `socketPath`.
  return new Dockerode({ socketPath, host: undefined, port: undefined, protocol: 'http' });
}

/** @types/dockerode does not know that ping can be aborted. */
function ping(docker: Docker, abortSignal: AbortSignal): Promise<unknown> {
  return (docker.ping as (options: { abortSignal: AbortSignal }) => Promise<unknown>).call(docker, { abortSignal });
}

/** Undefined for a socket that is not there: that is the ordinary case. */
function reasonOf(thrown: unknown, socket: string): string | undefined {
  switch (errnoOf(thrown)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return undefined;
    case 'EACCES':
    case 'EPERM':
      return `permission denied on ${socket} (add your user to the "docker" group, or use rootless Docker)`;
    case 'ECONNREFUSED':
      return `nothing listens on ${socket} (start Docker)`;
    default:
      return `${socket}: ${wordsOf(thrown)}`;
  }
}
