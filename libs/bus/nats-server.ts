/** A nats-server as a child process, with JetStream, on a loopback port: what `bus.server: nats-server` starts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '#contracts';

const START_TIMEOUT_MS = 10_000;
const STOP_GRACE_MS = 2_000;
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

export interface NatsServer {
  readonly url: string;
  readonly token: string;
  /** Asks it to end, then kills it. */
  close(): Promise<void>;
}

/**
 * Starts nats-server.
 * @param folder where JetStream keeps its data and the server writes its port; made if missing
 * @param program the executable, looked for on PATH
 * @throws MeshError `unavailable` when the program is missing or does not come up.
 */
export async function startNatsServer(folder: string, program = 'nats-server'): Promise<NatsServer> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const token = randomBytes(24).toString('base64url');
  const configFile = join(folder, 'nats-server.conf');
  await writeFile(
    configFile,
    [
      'host: 127.0.0.1',
      'port: -1',
      `max_payload: ${MAX_PAYLOAD_BYTES}`,
      `ports_file_dir: ${JSON.stringify(folder)}`,
      `authorization { token: ${JSON.stringify(token)} }`,
      `jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))} }`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  // A group of its own: Ctrl-C ends the apps first, then their bus.
  const child = spawn(program, ['-c', configFile], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4_000)));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ENOENT' ? `${program} is not installed (or not on PATH)` : error.message),
    );
    child.once('exit', (code, signal) => resolve(`nats-server ended (${signal ?? `code ${code}`}): ${log.trim().split('\n').at(-1) ?? ''}`));
  });
  // It watches nobody: a process that ends without closing it must take it along.
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  void ended.then(() => process.off('exit', kill));
  const portsFile = join(folder, `nats-server_${child.pid}.ports`);
  const until = performance.now() + START_TIMEOUT_MS;
  let failure: string | undefined;
  void ended.then((reason) => (failure = reason));
  while (failure === undefined && performance.now() < until) {
    const url = await readUrl(portsFile);
    if (url !== undefined) return { url, token, close: () => stop(child, ended, portsFile) };
    await sleep(20);
  }
  await stop(child, ended, portsFile);
  throw new MeshError('unavailable', `The bus could not be started: ${failure ?? 'nats-server did not come up in time'}. Use bus.server "embedded", or set NATS_URL.`);
}

async function readUrl(portsFile: string): Promise<string | undefined> {
  try {
    const { nats } = JSON.parse(await readFile(portsFile, 'utf8')) as { nats: string[] };
    return nats[0];
  } catch {
    return undefined; // Not written yet, or half.
  }
}

async function stop(child: ChildProcess, ended: Promise<string>, portsFile: string): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    const over = new AbortController();
    await Promise.race([ended, sleep(STOP_GRACE_MS, undefined, { signal: over.signal })]);
    over.abort();
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  }
  await rm(portsFile, { force: true });
}
