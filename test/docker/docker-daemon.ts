/** A Docker engine for tests: the one that runs, else one of our own, else a skip with its reason (which fails under CI). */
import { execFile, type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, it } from '@jest/globals';

const run = promisify(execFile);
/** How long our daemon may take to answer and to stop, in milliseconds. */
const START_MS = 40_000;
const STOP_MS = 20_000;
/** How long to wait for our turn, in milliseconds: two daemons would take the bridge docker0 from each other. */
const TURN_MS = 400_000;
const TURN_FILE = join(tmpdir(), 'ollamesh-test-dockerd.pid');

export interface DockerDaemon {
  /** Value for DOCKER_HOST. */
  readonly host: string;
  readonly socket: string;
  /** The docker command line; answers its trimmed output, throws with its error output. */
  cli(...args: string[]): Promise<string>;
  /** The same with bytes or text to read on its standard input. */
  cliWithInput(input: NodeJS.ReadableStream | string, ...args: string[]): Promise<string>;
}

const availability = await lookForDocker();

/** A `describe` whose tests may use a Docker engine through `daemon()`. */
export function describeWithDocker(title: string, body: (daemon: () => DockerDaemon) => void): void {
  if (availability.kind === 'none') {
    const { reason } = availability;
    if (process.env['CI'] === 'true') {
      describe(title, () => {
        it('docker: is here, as it must be under CI', () => {
          throw new Error(reason);
        });
      });
      return;
    }
    console.warn(`Skipped "${title}": ${reason}`);
  }
  (availability.kind === 'none' ? describe.skip : describe)(title, () => {
    let daemon: DockerDaemon | undefined;
    let stop = async (): Promise<void> => {};
    beforeAll(async () => {
      if (availability.kind === 'running') daemon = daemonAt(availability.socket);
      else ({ daemon, stop } = await startDaemon());
    }, TURN_MS + START_MS + 10_000);
    body(() => {
      if (!daemon) throw new Error('The Docker engine is there only while tests run.');
      return daemon;
    });
    // Last, so that what the tests clean up still finds its daemon.
    afterAll(() => stop(), STOP_MS + 20_000);
  });
}

export interface PrivateDaemon extends DockerDaemon {
  /** Ends it, containers included, as `systemctl stop docker` does. Idempotent. */
  stop(): Promise<void>;
}

/** True where a daemon of a test's own can be started beside whatever runs. */
export const canStartDaemon = process.getuid?.() === 0 && onPath('dockerd') && onPath('ip');

/** A daemon that no other test uses, on a bridge, a socket and a data folder of its own. @param diskBytes size of its disk, if it is to be small */
export async function startPrivateDaemon({ diskBytes }: { diskBytes?: number } = {}): Promise<PrivateDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-docker-'));
  const bridge = `olm${process.pid}`.slice(0, 15);
  await writeFile(join(folder, 'daemon.json'), '{}');
  await mkdir(join(folder, 'data'));
  if (diskBytes !== undefined) await run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', join(folder, 'data')]);
  await run('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `10.213.${process.pid % 250}.1/24`, 'dev', bridge]);
  await run('ip', ['link', 'set', bridge, 'up']);
  const log = await open(join(folder, 'log'), 'w');
  const child = spawn('dockerd', [...flags(folder), `--bridge=${bridge}`, ...(diskBytes === undefined ? [] : ['--storage-driver', 'vfs'])], { stdio: ['ignore', log.fd, log.fd] });
  await log.close();
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const daemon = daemonAt(join(folder, 'docker.sock'));
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await stopDaemon(child, folder, false);
    process.off('exit', kill);
    await run('ip', ['link', 'delete', bridge]);
    await rm(folder, { recursive: true, force: true });
  };
  const failure = await untilReady(child, daemon);
  if (failure === undefined) return { ...daemon, stop: () => (stopping ??= stop()) };
  const said = (await readFile(join(folder, 'log'), 'utf8')).split('\n').slice(-8).join('\n');
  await stop();
  throw new Error(`dockerd could not be started: ${failure}\n${said}`);
}

type Availability = { kind: 'running'; socket: string } | { kind: 'own' } | { kind: 'none'; reason: string };

async function lookForDocker(): Promise<Availability> {
  if (!onPath('docker')) return { kind: 'none', reason: 'there is no docker command' };
  const socket = (process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock').replace(/^unix:\/\//, '');
  if (existsSync(socket)) {
    try {
      await daemonAt(socket).cli('info');
      return { kind: 'running', socket };
    } catch (thrown) {
      console.warn(`The Docker engine at ${socket} does not answer: ${String(thrown)}`);
    }
  }
  if (process.getuid?.() !== 0) return { kind: 'none', reason: 'no Docker engine answers, and starting one needs root' };
  return onPath('dockerd') ? { kind: 'own' } : { kind: 'none', reason: 'no Docker engine answers, and there is no dockerd to start' };
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

function daemonAt(socket: string): DockerDaemon {
  const host = `unix://${socket}`;
  // The classic builder: nothing else is installed with Debian's docker.io.
  const env = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '0' };
  return {
    host,
    socket,
    cli: async (...args) => {
      const { stdout, stderr } = await run('docker', args, { env, maxBuffer: 64 * 1024 * 1024 });
      return (stdout || stderr).trim();
    },
    cliWithInput: (input, ...args) =>
      new Promise((resolve, reject) => {
        const child = execFile('docker', args, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
          if (error) reject(new Error(`docker ${args.join(' ')}: ${stderr || stdout || error.message}`));
          else resolve(stdout.trim());
        });
        if (!child.stdin) throw new Error('docker has no standard input');
        // docker may end before it has read everything; its exit status tells.
        child.stdin.on('error', () => undefined);
        if (typeof input === 'string') child.stdin.end(input);
        else input.pipe(child.stdin);
      }),
  };
}

async function startDaemon(): Promise<{ daemon: DockerDaemon; stop: () => Promise<void> }> {
  await takeTurn();
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-docker-'));
  const hadBridge = existsSync('/sys/class/net/docker0');
  // Settings of this machine's own daemon would collide with ours.
  await writeFile(join(folder, 'daemon.json'), '{}');
  const failures: string[] = [];
  // Overlay needs a file system that can carry it; vfs works everywhere.
  for (const storage of [[], ['--storage-driver', 'vfs']]) {
    const log = await open(join(folder, 'log'), 'w');
    const child = spawn('dockerd', [...flags(folder), ...storage], { stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    const daemon = daemonAt(join(folder, 'docker.sock'));
    const stop = async (): Promise<void> => {
      await stopDaemon(child, folder, !hadBridge);
      process.off('exit', kill);
    };
    const failure = await untilReady(child, daemon);
    if (failure === undefined) return { daemon, stop: () => stop().finally(() => endTurn(folder)) };
    failures.push(`${failure}\n${(await readFile(join(folder, 'log'), 'utf8')).split('\n').slice(-8).join('\n')}`);
    await stop();
  }
  await endTurn(folder);
  throw new Error(`dockerd could not be started:\n${failures.join('\n')}`);
}

/** Waits until no other test process runs a daemon of ours; the turn of one that died is over. */
async function takeTurn(): Promise<void> {
  for (const deadline = Date.now() + TURN_MS; Date.now() < deadline; await delay(250)) {
    try {
      await writeFile(TURN_FILE, String(process.pid), { flag: 'wx' });
      return;
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== 'EEXIST') throw thrown;
      const holder = existsSync(TURN_FILE) ? readFileSync(TURN_FILE, 'utf8') : '';
      if (holder !== '' && !existsSync(`/proc/${holder}`)) await rm(TURN_FILE, { force: true });
    }
  }
  throw new Error(`Another test process keeps its Docker engine (${TURN_FILE}).`);
}

async function endTurn(folder: string): Promise<void> {
  await rm(TURN_FILE, { force: true });
  await rm(folder, { recursive: true, force: true });
}

/** Everything in `folder`; ports are published by its user-land proxy, so that the machine's firewall stays untouched. */
function flags(folder: string): string[] {
  const settings = {
    'data-root': join(folder, 'data'),
    'exec-root': join(folder, 'exec'),
    pidfile: join(folder, 'pid'),
    host: `unix://${join(folder, 'docker.sock')}`,
    'config-file': join(folder, 'daemon.json'),
    iptables: 'false',
    ip6tables: 'false',
    'ip-forward': 'false',
    'log-level': 'warn',
  };
  return Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
}

/** Undefined once the daemon answers, else why it never will. */
async function untilReady(child: ChildProcess, daemon: DockerDaemon): Promise<string | undefined> {
  const deadline = Date.now() + START_MS;
  let last = 'it did not answer in time';
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) return `dockerd ended with ${child.exitCode ?? child.signalCode}`;
    if (existsSync(daemon.socket)) {
      try {
        await daemon.cli('info');
        return undefined;
      } catch (thrown) {
        last = String(thrown);
      }
    }
    await delay(200);
  }
  return last;
}

async function stopDaemon(child: ChildProcess, folder: string, removeBridge: boolean): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
  // A killed dockerd leaves its containerd behind, a stopped one leaves mounts and the bridge.
  const pidFile = join(folder, 'exec', 'containerd', 'containerd.pid');
  if (existsSync(pidFile)) {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    if (readCommand(pid).includes(folder)) process.kill(pid, 'SIGKILL');
  }
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((path) => path.startsWith(folder)).reverse()) await run('umount', ['-l', mount]);
  if (removeBridge && existsSync('/sys/class/net/docker0') && onPath('ip')) await run('ip', ['link', 'delete', 'docker0']);
}

function readCommand(pid: number): string {
  return existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
}
