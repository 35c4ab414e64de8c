/** The docker driver: an Ollama engine in a container of a Docker engine on this machine. The folder docker/ has its parts. */
import { homedir } from 'node:os';
import type { EngineConfig } from '#config';
import type { Candidate, Driver, NotMe } from './driver.js';
import { type ContainerPlan, planContainer } from './docker/container.js';
import { type Endpoint, findDocker, type Machine, socketsOf } from './docker/endpoint.js';
import { hasImage } from './docker/pull.js';
import { startContainer } from './docker/start.js';

/** How long one socket may take to answer a probe, in milliseconds; several may have to be tried within the port's 3 s. */
const PROBE_LIMIT_MS = 1_000;

export interface DockerDriverOptions {
  readonly config: EngineConfig;
  /** This machine's name on the bus; it is part of the container's name. */
  readonly node: string;
  /** Value of DOCKER_HOST, where it is set: then no other socket is tried. */
  readonly dockerHost?: string | undefined;
  readonly machine?: Machine;
}

export function createDockerDriver({ config, node, dockerHost, machine = thisMachine() }: DockerDriverOptions): Driver {
  const plan = planContainer(config, node);
  return {
    driver: 'docker',
    async probe(signal) {
      const sockets = socketsOf(dockerHost, machine);
      if ('notMe' in sockets) return notMe(sockets.notMe);
      const endpoint = await findDocker(sockets, PROBE_LIMIT_MS, signal);
      if ('notMe' in endpoint) return notMe(endpoint.notMe);
      try {
        return candidate(endpoint, plan, await hasImage(endpoint.docker, plan.image, PROBE_LIMIT_MS, signal));
      } catch (thrown) {
        return notMe(`Docker on ${endpoint.socket} answers, but not about its images: ${String(thrown)}`);
      }
    },
  };
}

function candidate({ docker, socket }: Endpoint, plan: ContainerPlan, imageIsHere: boolean): Candidate {
  return {
    driver: 'docker',
    found: `Docker on ${socket}, ${imageIsHere ? `with the image ${plan.image}` : `which would have to pull the image ${plan.image}`}`,
    attached: false,
    // CPU only until the GPU candidates of a container are tried and verified.
    gpu: false,
    downloadBytes: imageIsHere ? 0 : undefined,
    start: (report, signal) => startContainer(docker, plan, report, signal),
  };
}

function notMe(reason: string): NotMe {
  return { driver: 'docker', notMe: reason };
}

function thisMachine(): Machine {
  return { platform: process.platform, home: homedir(), uid: process.getuid?.() };
}
