/** What the engine's container is: a pure function of the configuration, with a hash that says whether an existing one still fits. */
import { createHash } from 'node:crypto';
import type { EngineConfig } from '#config';
import type Docker from 'dockerode';
import { type GpuCandidate, imageOf } from '#contracts';

/** How an image is laid out inside. */
export interface ImageLayout {
  /** Port of its Ollama API. */
  readonly port: number;
  /** Folder of its models. */
  readonly models: string;
  /** Volumes for other folders. */
  readonly mounts: readonly { readonly volume: string; readonly target: string }[];
}

/** Ollama's own image. */
export const OLLAMA_LAYOUT: ImageLayout = { port: 11_434, models: '/root/.ollama', mounts: [] };

export const NODE_LABEL = 'dev.ollamesh.node';
export const HASH_LABEL = 'dev.ollamesh.config-hash';
/** What the machine offered when the container was made: with more or less than that, all ways to a GPU are tried anew. */
export const OFFER_LABEL = 'dev.ollamesh.gpu-offer';

/** Raise it when a change here must replace containers that exist. */
const RECIPE = 2;

/** Where the models are kept: a volume, or a folder of this machine. */
export type ModelsPlace = { readonly volume: string } | { readonly folder: string };

export interface ContainerPlan {
  readonly name: string;
  readonly image: string;
  readonly models: ModelsPlace;
  readonly gpu: Pick<GpuCandidate, 'way' | 'reason'>;
  /** Loopback port asked for; 0 leaves it to Docker. */
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly hash: string;
  /** The container to create, published on `hostPort` of 127.0.0.1 (0: any free one). */
  options(hostPort: number): Docker.ContainerCreateOptions;
}

/** One plan for each way to a GPU, in their order. */
export function planContainers(config: EngineConfig, node: string, candidates: readonly GpuCandidate[], layout = OLLAMA_LAYOUT): ContainerPlan[] {
  const offer = hashOf(candidates);
  return candidates.map((candidate) => planContainer(config, node, candidate, offer, layout));
}

function planContainer(config: EngineConfig, node: string, { way, reason, access, ...variant }: GpuCandidate, offer: string, layout: ImageLayout): ContainerPlan {
  const { image, volume, folder, port, limits } = config;
  const { env = [], ...devices } = access;
  const enginePort = `${layout.port}/tcp`;
  const models: ModelsPlace = folder === undefined ? { volume } : { folder };
  const settings = {
    Image: referenceOf(imageOf(image, variant)),
    Env: [
      `OLLAMA_HOST=0.0.0.0:${layout.port}`,
      'OLLAMA_NOPRUNE=1',
      `OLLAMA_NUM_PARALLEL=${config.parallel}`,
      `OLLAMA_KEEP_ALIVE=${config.keepAlive}`,
      ...env,
      ...Object.entries(config.env).map(([name, value]) => `${name}=${value}`),
    ],
    HostConfig: {
      ...devices,
      Mounts: [
        { ...('volume' in models ? { Type: 'volume' as const, Source: models.volume } : { Type: 'bind' as const, Source: models.folder }), Target: layout.models },
        ...layout.mounts.map(({ volume: source, target }) => ({ Type: 'volume' as const, Source: source, Target: target })),
      ],
      // The orchestrator restarts it, and knows why; Docker must not do so behind its back.
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
      // Without swap beyond it: an engine that swaps is worse than one that ends and says why.
      ...(limits.memory !== undefined && { Memory: limits.memory, MemorySwap: limits.memory }),
      ...(limits.cpus !== undefined && { NanoCpus: Math.round(limits.cpus * 1e9) }),
    },
  };
  const hash = hashOf({ RECIPE, settings, port, enginePort });
  const labels = { [NODE_LABEL]: node, [HASH_LABEL]: hash, [OFFER_LABEL]: offer };
  return {
    name: `ollamesh-engine-${node}`,
    image: settings.Image,
    models,
    gpu: { way, reason },
    port,
    labels,
    hash,
    options: (hostPort) => ({
      ...settings,
      name: `ollamesh-engine-${node}`,
      Labels: labels,
      ExposedPorts: { [enginePort]: {} },
      HostConfig: {
        ...settings.HostConfig,
        PortBindings: { [enginePort]: [{ HostIp: '127.0.0.1', HostPort: hostPort === 0 ? '' : String(hostPort) }] },
      },
    }),
  };
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** An image name that means one image: without a tag Docker would pull them all. */
export function referenceOf(image: string): string {
  const lastPart = image.slice(image.lastIndexOf('/') + 1);
  return /[:@]/.test(lastPart) ? image : `${image}:latest`;
}

/** Whether a container is one of ours for this node, whatever its configuration. */
export function isOurs({ Config }: Docker.ContainerInspectInfo, node: string | undefined): boolean {
  return node !== undefined && Config.Labels?.[NODE_LABEL] === node;
}

/** The plan that a container was made by, if the machine still offers what it did then. */
export function planOf({ Config }: Docker.ContainerInspectInfo, plans: readonly ContainerPlan[]): ContainerPlan | undefined {
  return plans.find(({ hash, labels }) => Config.Labels?.[HASH_LABEL] === hash && Config.Labels[OFFER_LABEL] === labels[OFFER_LABEL]);
}

/** The loopback URL of a running container's Ollama API, or undefined where it publishes none. */
export function urlOf({ NetworkSettings }: Docker.ContainerInspectInfo): string | undefined {
  // Only the API's port is ever published.
  const port = Object.values(NetworkSettings.Ports ?? {}).flatMap((bindings) => bindings ?? []).find(({ HostIp }) => HostIp === '127.0.0.1')?.HostPort;
  return port ? `http://127.0.0.1:${port}` : undefined;
}
