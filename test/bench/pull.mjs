/** How fast the embedded engine pulls a model from a registry on loopback, beside `curl | sha256sum` of the same file in the same run. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median, report } from './figures.mjs';

const MAIN = join(fileURLToPath(import.meta.url), '../../../dist/apps/embedded-engine/main.js');
const BYTES = 400 * 1024 * 1024;
const ROUNDS = 5;
const TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

/** Prints one line. */
export async function run() {
  for (const command of ['docker-registry', 'curl', 'sha256sum']) {
    if (spawnSync(command, ['--version']).error) return report('pull from loopback', `not measured: ${command} is not installed`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-bench-pull-'));
  const port = await freePort();
  await writeFile(join(folder, 'config.yml'), JSON.stringify({
    version: 0.1, log: { level: 'error', accesslog: { disabled: true } }, storage: { filesystem: { rootdirectory: join(folder, 'registry') } }, http: { addr: `127.0.0.1:${port}` },
  }));
  const registry = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  const engine = spawn(process.execPath, [MAIN, '--store', join(folder, 'store')], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  try {
    const [{ url }] = await once(engine, 'message');
    const base = `http://127.0.0.1:${port}/v2/library/bench`;
    const weights = await push(base);
    const [pulls, baselines] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      baselines.push(await seconds(() => hashWithCurl(`${base}/blobs/${weights}`, weights)));
      const model = `127.0.0.1:${port}/library/bench`;
      pulls.push(await seconds(() => pull(url, model)));
      await fetch(`${url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model }) });
    }
    const [mine, curl] = [BYTES / 1e6 / median(pulls), BYTES / 1e6 / median(baselines)];
    report('pull from loopback, 420 MB (median of 5)', `${mine.toFixed(0)} MB/s; curl | sha256sum ${curl.toFixed(0)} MB/s, ${((100 * mine) / curl).toFixed(0)} %`, { text: '≥ 80 %', met: mine >= 0.8 * curl });
  } finally {
    const ended = [engine, registry].map((child) => (child.exitCode === null ? once(child, 'exit') : undefined));
    engine.kill();
    registry.kill();
    await Promise.all(ended);
    await rm(folder, { recursive: true, force: true });
  }
}

async function seconds(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

async function pull(url, model) {
  const response = await fetch(`${url}/api/pull`, { method: 'POST', body: JSON.stringify({ model, insecure: true, stream: false }) });
  if (!response.ok) throw new Error(`the engine answered ${response.status}: ${await response.text()}`);
}

/** The shell's pipe; nothing in its words comes from outside. */
async function hashWithCurl(url, digest) {
  const { stdout } = await promisify(execFile)('sh', ['-c', 'curl --silent --fail "$1" | sha256sum', 'sh', url]);
  if (!digest.endsWith(stdout.slice(0, 64))) throw new Error(`curl got other bytes: ${stdout}`);
}

/** A model of random weights; the digest of them. */
async function push(base) {
  for (let tries = 0; !(await fetch(new URL('/v2/', base)).catch(() => undefined))?.ok; tries += 1) {
    if (tries > 100) throw new Error('docker-registry does not answer');
    await sleep(50);
  }
  const weights = await blob(base, randomBytes(BYTES), 'application/vnd.ollama.image.model');
  const config = await blob(base, Buffer.from('{}'), 'application/vnd.docker.container.image.v1+json');
  const body = JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config, layers: [weights] });
  const { status } = await fetch(`${base}/manifests/latest`, { method: 'PUT', headers: { 'content-type': TYPE }, body });
  if (status !== 201) throw new Error(`the registry took no manifest: ${status}`);
  return weights.digest;
}

async function blob(base, bytes, mediaType) {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location'), base);
  location.searchParams.set('digest', digest);
  const { status } = await fetch(location, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes });
  if (status !== 201) throw new Error(`the registry took no blob: ${status}`);
  return { mediaType, digest, size: bytes.length };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
