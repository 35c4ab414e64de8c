/** A container registry on a loopback port that serves one image out of the daemon itself, and can stall in the middle of a layer. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { DockerDaemon } from './docker-daemon.js';

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CHUNK_BYTES = 256 * 1024;
const RANDOM_BYTES = 16 * 1024 * 1024;

interface Knobs {
  /** Sends nothing more of a layer after this many bytes. */
  readonly stallAfterBytes?: number;
}

export class ImageRegistry {
  /** Resolves at the first stall. */
  readonly stalled: Promise<void>;
  #onStall = (): void => undefined;

  private constructor(
    readonly image: string,
    private readonly server: Server,
    private readonly daemon: DockerDaemon,
  ) {
    this.stalled = new Promise((resolve) => {
      this.#onStall = resolve;
    });
  }

  /** Serves `source` as 127.0.0.1:<port>/served:latest, with one random layer more. */
  static async serve(daemon: DockerDaemon, source: string, { stallAfterBytes = Infinity }: Knobs = {}): Promise<ImageRegistry> {
    const { config, layers } = await takeApart(daemon, source);
    const blobs = new Map([config, ...layers].map((blob) => [digestOf(blob), blob]));
    const entry = (blob: Buffer, mediaType: string): object => ({ mediaType, size: blob.length, digest: digestOf(blob) });
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: entry(config, 'application/vnd.docker.container.image.v1+json'),
        layers: layers.map((layer) => entry(layer, 'application/vnd.docker.image.rootfs.diff.tar.gzip')),
      }),
    );
    const server = createServer((request, response) => {
      const [, kind, reference = ''] = /^\/v2\/served\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
      const body = kind === 'manifests' ? manifest : blobs.get(reference);
      if (!body) return void response.writeHead(request.url === '/v2/' ? 200 : 404).end();
      response.writeHead(200, {
        'content-type': kind === 'manifests' ? MANIFEST : 'application/octet-stream',
        'content-length': body.length,
        'docker-content-digest': digestOf(body),
      });
      if (request.method === 'HEAD') return void response.end();
      Readable.from(chunksOf(body, kind === 'blobs' ? stallAfterBytes : Infinity, () => registry.#onStall())).pipe(response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const registry = new ImageRegistry(`127.0.0.1:${port}/served:latest`, server, daemon);
    return registry;
  }

  /** Ends the registry and removes what was pulled from it. */
  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    if ((await this.daemon.cli('images', '--quiet', this.image)) !== '') await this.daemon.cli('rmi', '--force', this.image);
  }
}

async function* chunksOf(body: Buffer, stallAfter: number, onStall: () => void): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < body.length; sent += CHUNK_BYTES) {
    if (sent >= stallAfter) {
      onStall();
      await new Promise(() => undefined);
    }
    yield body.subarray(sent, sent + CHUNK_BYTES);
  }
}

/** An image's configuration and layers, with one new random layer so that the daemon always has something to fetch. */
async function takeApart(daemon: DockerDaemon, image: string): Promise<{ config: Buffer; layers: Buffer[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-registry-'));
  try {
    await daemon.cli('save', '--output', join(folder, 'image.tar'), image);
    await tar(folder, '-x', '-f', 'image.tar');
    const [{ Config, Layers } = { Config: '', Layers: [] }] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as SavedImage[];
    await writeFile(join(folder, 'random'), randomBytes(RANDOM_BYTES));
    await tar(folder, '-c', '-f', 'random.tar', 'random');
    const random = await readFile(join(folder, 'random.tar'));
    const config = JSON.parse(await readFile(join(folder, Config), 'utf8')) as ImageConfig;
    config.rootfs.diff_ids.push(digestOf(random));
    config.history.push({ created_by: 'random' });
    const layers = await Promise.all(Layers.map((layer) => readFile(join(folder, layer))));
    return { config: Buffer.from(JSON.stringify(config)), layers: [...layers, random] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface SavedImage {
  readonly Config: string;
  readonly Layers: string[];
}

interface ImageConfig {
  readonly rootfs: { readonly diff_ids: string[] };
  readonly history: object[];
}

async function tar(folder: string, ...args: string[]): Promise<void> {
  await promisify(execFile)('tar', ['-C', folder, ...args.map((arg) => (arg.endsWith('.tar') ? join(folder, arg) : arg))]);
}

function digestOf(blob: Buffer): string {
  return `sha256:${createHash('sha256').update(blob).digest('hex')}`;
}
