/** What the engine's container is: a pure function of the configuration, with a hash that says whether an existing one still fits. */
import { createHash } from 'node:crypto';
import type { EngineConfig } from '#config';
import type Docker from 'dockerode';

/** Port of the Ollama API inside the container. */
export const ENGINE_PORT = '11434/tcp';
export const NODE_LABEL = 'dev.ollamesh.node';
export const HASH_LABEL = 'dev.ollamesh.config-hash';

/** Raise it when a change here must replace containers that exist. */
const RECIPE = 1;

/** What a container gets of the machine's accelerators. CPU_ONLY is all there is so far. */
export interface DeviceAccess {
  readonly DeviceRequests?: Docker.DeviceRequest[];
  readonly Devices?: Docker.DeviceMapping[];
  readonly GroupAdd?: string[];
  readonly env?: readonly string[];
}
export const CPU_ONLY: DeviceAccess = {};

export interface ContainerPlan {
  readonly name: string;
  readonly image: string;
  readonly volume: string;
  /** Loopback port asked for; 0 leaves it to Docker. */
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly hash: string;
  /** The container to create, published on `hostPort` of 127.0.0.1 (0: any free one). */
  options(hostPort: number): Docker.ContainerCreateOptions;
}

export function planContainer(config: EngineConfig, node: string, devices: DeviceAccess = CPU_ONLY): ContainerPlan {
  const { image, volume, port } = config;
  const { env = [], ...access } = devices;
  const settings = {
    Image: referenceOf(image),
    Env: [
      'OLLAMA_HOST=0.0.0.0:11434',
      'OLLAMA_NOPRUNE=1',
      `OLLAMA_NUM_PARALLEL=${config.parallel}`,
      `OLLAMA_KEEP_ALIVE=${config.keepAlive}`,
      ...env,
    ],
    HostConfig: {
      ...access,
      Mounts: [{ Type: 'volume' as const, Source: volume, Target: '/root/.ollama' }],
      // The orchestrator restarts it, and knows why; Docker must not do so behind its back.
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    },
  };
  const hash = createHash('sha256').update(JSON.stringify({ RECIPE, settings, port })).digest('hex').slice(0, 16);
  const labels = { [NODE_LABEL]: node, [HASH_LABEL]: hash };
  return {
    name: `ollamesh-engine-${node}`,
    image: settings.Image,
    volume,
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

/** An image name that means one image: without a tag Docker would pull them all. */
export function referenceOf(image: string): string {
  const lastPart = image.slice(image.lastIndexOf('/') + 1);
  return /[:@]/.test(lastPart) ? image : `${image}:latest`;
}

/** Whether a container is one of ours for this node, whatever its configuration. */
export function isOurs({ Config }: Docker.ContainerInspectInfo, { labels }: ContainerPlan): boolean {
  return Config.Labels?.[NODE_LABEL] === labels[NODE_LABEL];
}

/** Whether a container runs and is just what `plan` would make. */
export function isAdoptable({ Config, State }: Docker.ContainerInspectInfo, { hash }: ContainerPlan): boolean {
  return State.Running && !State.Paused && !State.Restarting && Config.Labels?.[HASH_LABEL] === hash;
}

/** The loopback URL of a running container's Ollama API, or undefined where it publishes none. */
export function urlOf({ NetworkSettings }: Docker.ContainerInspectInfo): string | undefined {
  const port = NetworkSettings.Ports?.[ENGINE_PORT]?.find(({ HostIp }) => HostIp === '127.0.0.1')?.HostPort;
  return port ? `http://127.0.0.1:${port}` : undefined;
}
