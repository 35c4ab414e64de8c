/** The servers the conformance suite runs against: our broker and the real nats-server, behind one small port. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, startBroker } from '#broker';

export interface ServerOptions {
  port?: number;
  token?: string;
  /** Bytes. */
  maxPayload?: number;
  /** Bytes that may wait for one connection. */
  maxPending?: number;
}

export interface RunningServer {
  readonly port: number;
  readonly url: string;
  /** Ours, to join without a socket. */
  readonly broker?: Broker;
  stop(): Promise<void>;
}

export interface ServerKind {
  readonly name: string;
  /** Why it can't run here; undefined where it can. */
  readonly missing: string | undefined;
  start(options?: ServerOptions): Promise<RunningServer>;
}

const NATS_SERVER = '/usr/sbin/nats-server';
/** What both servers are given unless a test says otherwise, in bytes: nats-server's own default. */
export const MAX_PAYLOAD = 1024 * 1024;

export const embeddedBroker: ServerKind = {
  name: 'embedded broker',
  missing: undefined,
  async start(options = {}) {
    const broker = await startBroker({ maxPayload: MAX_PAYLOAD, ...options });
    return { port: broker.port, url: broker.url, broker, stop: () => broker.close() };
  },
};

export const natsServer: ServerKind = {
  name: 'nats-server',
  missing: existsSync(NATS_SERVER) ? undefined : `${NATS_SERVER} is not installed`,
  async start(options = {}) {
    const port = options.port ?? await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
    const config = join(folder, 'server.conf');
    writeFileSync(config, [
      `max_payload: ${options.maxPayload ?? MAX_PAYLOAD}`,
      ...(options.maxPending === undefined ? [] : [`max_pending: ${options.maxPending}`, 'write_deadline: "100ms"']),
    ].join('\n'));
    const token = options.token === undefined ? [] : ['--auth', options.token];
    const child = spawn(NATS_SERVER, ['-a', '127.0.0.1', '-p', String(port), '-c', config, ...token], { stdio: 'ignore' });
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    // A test run that dies must not leave a server behind.
    const kill = (): void => { child.kill('SIGKILL'); };
    process.once('exit', kill);
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL');
      await gone;
      process.off('exit', kill);
      rmSync(folder, { recursive: true, force: true });
    };
    try {
      await answers(port);
    } catch (error) {
      await stop();
      throw error;
    }
    return { port, url: `nats://127.0.0.1:${port}`, stop };
  },
};

/** A port nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** Resolves once the port greets with INFO; rejects after ten seconds. */
async function answers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const greeted = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(port, '127.0.0.1');
      socket.once('data', () => { resolve(true); socket.destroy(); });
      socket.once('error', () => resolve(false));
    });
    if (greeted) return;
    await sleep(50);
  }
  throw new Error(`nats-server does not answer on port ${port}`);
}
