/** The docker driver: an Ollama engine in a container of a Docker engine on this machine. The folder docker/ has its parts. */
import { homedir } from 'node:os';
import type { EngineConfig } from '#config';
import { type GpuCandidate, MeshError } from '#contracts';
import { withDeadline } from '#deadline';
import { type ContainerPlan, type ImageLayout, OLLAMA_LAYOUT, planContainers } from './docker/container.js';
import { type Endpoint, findDocker, type Machine, socketsOf } from './docker/endpoint.js';
import { allowedBy } from './docker/gpu-policy.js';
import { imageSize } from './docker/image-size.js';
import { hasImage } from './docker/pull.js';
import { acquireImage, startContainer } from './docker/start.js';
import type { Candidate, Driver, NotMe } from './driver.js';
import type { LineSink } from './engine-log.js';

/** How long one socket may take to answer a probe, in milliseconds; several may have to be tried within the port's 3 s. */
const PROBE_LIMIT_MS = 1_000;

export interface DockerDriverOptions {
  readonly config: EngineConfig;
  /** What the configuration means where it names a service definition; Ollama's own image otherwise. @throws why that can't be used */
  readonly described?: (config: EngineConfig, signal: AbortSignal) => Promise<Described>;
  /** This machine's name on the bus; it is part of the container's name. */
  readonly node: string;
  /** Value of DOCKER_HOST, where it is set: then no other socket is tried. */
  readonly dockerHost?: string | undefined;
  readonly machine?: Machine;
  /** Ways to this machine's GPUs, the CPU last. */
  gpus(signal: AbortSignal): Promise<readonly GpuCandidate[]>;
  readonly log: LineSink;
}

/** An engine's settings and the layout of its image. */
export interface Described {
  readonly config: EngineConfig;
  readonly layout: ImageLayout;
}

export function createDockerDriver({ config: asked, described = ofOllama, node, dockerHost, machine = thisMachine(), gpus, log }: DockerDriverOptions): Driver {
  return {
    driver: 'docker',
    async probe(signal) {
      const sockets = socketsOf(dockerHost, machine);
      if ('notMe' in sockets) return notMe(sockets.notMe);
      const endpoint = await findDocker(sockets, PROBE_LIMIT_MS, signal);
      if ('notMe' in endpoint) return notMe(endpoint.notMe);
      const { config, layout } = await described(asked, signal);
      const offered = await gpus(signal);
      const [first, ...others] = planContainers(config, node, allowedBy(config.gpu, offered), layout);
      if (!first) return notMe(`engine.gpu.use is "required", but there is no way to a GPU: ${offered.at(-1)?.reason ?? 'none was found.'}`);
      try {
        const imageIsHere = await hasImage(endpoint.docker, first.image, PROBE_LIMIT_MS, signal);
        const downloadBytes = imageIsHere ? 0 : await imageSize(first.image, process.arch, withDeadline(signal, PROBE_LIMIT_MS));
        return candidate(endpoint, [first, ...others], { log, startTimeoutMs: config.startTimeoutMs, downloadBytes });
      } catch (thrown) {
        return notMe(`Docker on ${endpoint.socket} answers, but not about its images: ${MeshError.from(thrown).message}`);
      }
    },
  };
}

interface Start {
  readonly log: LineSink;
  readonly startTimeoutMs: number;
  readonly downloadBytes: number | undefined;
}

function candidate({ docker, socket }: Endpoint, plans: readonly [ContainerPlan, ...ContainerPlan[]], { log, startTimeoutMs, downloadBytes }: Start): Candidate {
  const [{ image, gpu }] = plans;
  const graphics = gpu.way === 'cpu' ? gpu.reason : `GPU: ${gpu.reason}`;
  return {
    driver: 'docker',
    found: `Docker on ${socket}, ${downloadBytes === 0 ? `with the image ${image}` : `which would have to pull the image ${image} (${sizeOf(downloadBytes)})`}. ${graphics}`,
    attached: false,
    gpu: gpu.way !== 'cpu',
    downloadBytes,
    startTimeoutMs,
    prepare: (progress, signal) => acquireImage(docker, image, { acquiring: progress }, signal),
    start: (report, signal) => startContainer({ docker, plans, log, report, signal }),
  };
}

function sizeOf(bytes: number | undefined): string {
  return bytes === undefined ? 'its registry does not say how large it is' : `${(bytes / 1e9).toFixed(2)} GB`;
}

async function ofOllama(config: EngineConfig): Promise<Described> {
  return { config, layout: OLLAMA_LAYOUT };
}

function notMe(reason: string): NotMe {
  return { driver: 'docker', notMe: reason };
}

function thisMachine(): Machine {
  return { platform: process.platform, home: homedir(), uid: process.getuid?.() };
}
