/** A real OCI registry (Debian's docker-registry) on a loopback port, with models pushed into it as Ollama lays them out. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { freePort } from './free-port.js';
import { ROOT } from './program.js';
import { until } from './until.js';

/** Tests that need it are skipped where it is not installed (package docker-registry). */
export const hasDockerRegistry = spawnSync('docker-registry', ['--version']).status === 0;

const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

export interface PushedLayer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface PushedModel {
  readonly manifestText: string;
  /** Hex digest of the manifest. */
  readonly id: string;
  /** Weights first. */
  readonly layers: readonly PushedLayer[];
  readonly config: PushedLayer;
}

export class ModelRegistry {
  private constructor(readonly port: number, private readonly child: ChildProcess, private readonly folder: string) {}

  static async start(): Promise<ModelRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'ollamesh-model-registry-'));
    const port = await freePort();
    const config = { version: 0.1, log: { level: 'error', accesslog: { disabled: true } }, storage: { filesystem: { rootdirectory: join(folder, 'data') } }, http: { addr: `127.0.0.1:${port}` } };
    await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
    const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
    const registry = new ModelRegistry(port, child, folder);
    await until('docker-registry answers', async () => (await fetch(`${registry.url}/v2/`).catch(() => undefined))?.ok);
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Pushes the guide model as `library/<name>:<tag>`; `weights` may stand in for its own. */
  async push(name: string, { tag = 'latest', weights, params = { temperature: 0 } }: { tag?: string; weights?: Buffer; params?: object } = {}): Promise<PushedModel> {
    const config = await this.#blob(name, 'application/vnd.docker.container.image.v1+json', Buffer.from('{"model_format":"gguf","model_family":"llama"}'));
    const layers = [
      await this.#blob(name, 'application/vnd.ollama.image.model', weights ?? (await readFile(join(ROOT, 'apps/embedded-engine/models/guide.gguf')))),
      await this.#blob(name, 'application/vnd.ollama.image.template', Buffer.from('{{ .Prompt }}')),
      await this.#blob(name, 'application/vnd.ollama.image.params', Buffer.from(JSON.stringify(params))),
      await this.#blob(name, 'application/vnd.ollama.image.license', await readFile(join(ROOT, 'LICENSE'))),
    ];
    const manifestText = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers });
    const { statusCode, body } = await request(`${this.url}/v2/library/${name}/manifests/${tag}`, { method: 'PUT', headers: { 'content-type': MANIFEST_TYPE }, body: manifestText });
    if (statusCode !== 201) throw new Error(`the registry took no manifest: ${statusCode} ${await body.text()}`);
    await body.dump();
    return { manifestText, id: createHash('sha256').update(manifestText).digest('hex'), layers, config };
  }

  async #blob(name: string, mediaType: string, bytes: Buffer): Promise<PushedLayer> {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const begun = await request(`${this.url}/v2/library/${name}/blobs/uploads/`, { method: 'POST' });
    await begun.body.dump();
    const location = new URL(String(begun.headers.location), this.url);
    location.searchParams.set('digest', digest);
    const { statusCode, body } = await request(location, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes });
    if (statusCode !== 201) throw new Error(`the registry took no blob: ${statusCode} ${await body.text()}`);
    await body.dump();
    return { mediaType, digest, size: bytes.length };
  }
}
