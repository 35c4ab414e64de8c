/** Whether a Docker engine answers on this machine, and what it says of itself; permission denied is told apart from absent. */
import { request } from 'node:http';
import type { ContainerRuntimes } from '#contracts';
import { withDeadline } from '#deadline';

export type Docker = ContainerRuntimes['docker'];

/** Answers of an HTTP server on a local socket. Rejects with the system's error, or a time-out. */
export type SocketClient = (socket: string, path: string, timeoutMs: number) => Promise<{ status: number; body: string }>;

export interface DockerProbe {
  readonly ask?: SocketClient;
  /** Value of DOCKER_HOST. */
  readonly dockerHost: string | undefined;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  /** Numeric user id; undefined on Windows. */
  readonly uid: number | undefined;
  readonly timeoutMs: number;
}

/** `docker info` of a large machine; more than this many bytes is something else. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

export async function findDocker({ ask = askSocket, dockerHost, platform, home, uid, timeoutMs }: DockerProbe): Promise<Docker> {
  const sockets = socketsOf({ dockerHost, platform, home, uid });
  if (sockets.length === 0) return { state: 'remote', reason: `DOCKER_HOST is ${dockerHost}, which is not on this machine.`, runtimes: [] };
  // All at once: one that hangs must not hide the others; the first in order that says anything but "absent" counts.
  const answers = await Promise.all(sockets.map((socket) => askEngine(ask, socket, timeoutMs)));
  return (
    answers.find(({ state }) => state === 'reachable') ??
    answers.find(({ state }) => state !== 'absent') ?? { state: 'absent', reason: `No Docker socket, such as ${sockets[0]}.`, runtimes: [] }
  );
}

/** Sockets to look at, best first; none where DOCKER_HOST names another machine. */
export function socketsOf({ dockerHost, platform, home, uid }: Pick<DockerProbe, 'dockerHost' | 'platform' | 'home' | 'uid'>): string[] {
  if (dockerHost) return /^(?:unix|npipe):\/\/(.+)$/.exec(dockerHost)?.slice(1, 2) ?? [];
  if (platform === 'win32') return ['//./pipe/docker_engine'];
  return [
    '/var/run/docker.sock',
    ...(uid === undefined || platform !== 'linux' ? [] : [`/run/user/${uid}/docker.sock`]),
    ...['.docker/run', '.orbstack/run', '.colima/default', '.rd'].map((folder) => `${home}/${folder}/docker.sock`),
  ];
}

async function askEngine(ask: SocketClient, socket: string, timeoutMs: number): Promise<Docker> {
  try {
    const { status, body } = await ask(socket, '/info', timeoutMs);
    const info: unknown = JSON.parse(body);
    if (status !== 200 || typeof info !== 'object' || info === null) return { state: 'silent', socket, reason: `${socket} answers with status ${status}, not as Docker does.`, runtimes: [] };
    return parseInfo(info as Record<string, unknown>, socket);
  } catch (thrown) {
    return { ...failure(thrown, socket), socket, runtimes: [] };
  }
}

export function parseInfo(info: Record<string, unknown>, socket: string): Docker {
  const text = (key: string): string | undefined => (typeof info[key] === 'string' && info[key] !== '' ? info[key] : undefined);
  const { Runtimes: runtimes, SecurityOptions: options, CDISpecDirs: cdiFolders } = info;
  const [version, cgroupDriver] = [text('ServerVersion'), text('CgroupDriver')];
  const rootless = Array.isArray(options) && options.some((option) => String(option).startsWith('name=rootless'));
  return {
    state: 'reachable',
    reason: `Docker ${version ?? 'of unknown version'} answers on ${socket}${rootless ? ' (rootless)' : ''}.`,
    socket,
    ...(version !== undefined && { version }),
    ...(rootless && { rootless }),
    ...(cgroupDriver !== undefined && { cgroupDriver }),
    // An empty list says that CDI is off.
    ...(Array.isArray(cdiFolders) && { cdi: cdiFolders.length > 0 }),
    runtimes: typeof runtimes === 'object' && runtimes !== null ? Object.keys(runtimes) : [],
  };
}

function failure(thrown: unknown, socket: string): Pick<Docker, 'state' | 'reason'> {
  const { code } = thrown as { code?: unknown };
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { state: 'absent', reason: `No socket at ${socket}.` };
    case 'EACCES':
    case 'EPERM':
      return { state: 'denied', reason: `This user may not use ${socket}.` };
    case 'ECONNREFUSED':
      return { state: 'stopped', reason: `Nothing listens on ${socket}.` };
    default:
      return { state: 'silent', reason: `${socket} gives no sensible answer: ${thrown instanceof Error ? thrown.message : String(thrown)}` };
  }
}

const askSocket: SocketClient = (socketPath, path, timeoutMs) =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path, signal: withDeadline(undefined, timeoutMs), agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BODY_BYTES) call.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }));
      response.once('error', reject);
    });
    call.once('error', reject);
    call.end();
  });
