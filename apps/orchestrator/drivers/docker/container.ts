/** What the engine's container is: a pure function of the configuration, with a hash that says whether an existing one still fits. */
import { createHash } from 'node:crypto';
import type { EngineConfig } from '#config';
import type Docker from 'dockerode';
import { type GpuCandidate, imageOf } from './gpu-candidates.js';

/** Port of the Ollama API inside the container. */
export const ENGINE_PORT = '11434/tcp';
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
  readonly gpu: Pick<GpuCandidate, 'kind' | 'reason'>;
  /** Loopback port asked for; 0 leaves it to Docker. */
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly hash: string;
  /** The container to create, published on `hostPort` of 127.0.0.1 (0: any free one). */
  options(hostPort: number): Docker.ContainerCreateOptions;
}

/** One plan for each way to a GPU, in their order. */
export function planContainers(config: EngineConfig, node: string, candidates: readonly GpuCandidate[]): ContainerPlan[] {
  const offer = hashOf(candidates);
  return candidates.map((candidate) => planContainer(config, node, candidate, offer));
}

function planContainer(config: EngineConfig, node: string, { kind, reason, access, ...variant }: GpuCandidate, offer: string): ContainerPlan {
  const { image, volume, folder, port, limits } = config;
  const { env = [], ...devices } = access;
  const models: ModelsPlace = folder === undefined ? { volume } : { folder };
  const settings = {
    Image: referenceOf(imageOf(image, variant)),
    Env: [
      'OLLAMA_HOST=0.0.0.0:11434',
      'OLLAMA_NOPRUNE=1',
      `OLLAMA_NUM_PARALLEL=${config.parallel}`,
      `OLLAMA_KEEP_ALIVE=${config.keepAlive}`,
      ...env,
      ...Object.entries(config.env).map(([name, value]) => `${name}=${value}`),
    ],
    HostConfig: {
      ...devices,
      Mounts: [{ ...('volume' in models ? { Type: 'volume' as const, Source: models.volume } : { Type: 'bind' as const, Source: models.folder }), Target: '/root/.ollama' }],
      // The orchestrator restarts it, and knows why; Docker must not do so behind its back.
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
      // Without swap beyond it: an engine that swaps is worse than one that ends and says why.
      ...(limits.memory !== undefined && { Memory: limits.memory, MemorySwap: limits.memory }),
      ...(limits.cpus !== undefined && { NanoCpus: Math.round(limits.cpus * 1e9) }),
    },
  };
  const hash = hashOf({ RECIPE, settings, port });
  const labels = { [NODE_LABEL]: node, [HASH_LABEL]: hash, [OFFER_LABEL]: offer };
  return {
    name: `ollamesh-engine-${node}`,
    image: settings.Image,
    models,
    gpu: { kind, reason },
    port,
    labels,
    hash,
    options: (hostPort) => ({
      ...settings,
      name: `ollamesh-engine-${node}`,
      Labels: labels,
      ExposedPorts: { [ENGINE_PORT]: {} },
      HostConfig: {
        ...settings.HostConfig,
        PortBindings: { [ENGINE_PORT]: [{ HostIp: '127.0.0.1', HostPort: hostPort === 0 ? '' : String(hostPort) }] },
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
  const port = NetworkSettings.Ports?.[ENGINE_PORT]?.find(({ HostIp }) => HostIp === '127.0.0.1')?.HostPort;
  return port ? `http://127.0.0.1:${port}` : undefined;
}
