/** From a plan to a running container: adopt, or acquire and create; what was half made is removed again. running.ts takes over. */
import { createServer } from 'node:net';
import { MeshError } from '#contracts';
import type Docker from 'dockerode';
import type { RunningEngine, StartReport } from '../driver.js';
import { LogTail } from '../log-tail.js';
import { bounded, CALL_LIMIT_MS } from './bounded.js';
import { ContainerLog } from './container-log.js';
import { type ContainerPlan, isAdoptable, isOurs, urlOf } from './container.js';
import { statusOf, unavailable, undefinedIfMissing, wordsOf } from './failure.js';
import { hasImage, pullImage } from './pull.js';
import { watchContainer } from './running.js';

/** What an old container gets to end by itself before it is replaced, in seconds. */
const REPLACE_GRACE_S = 10;
const PORT_TAKEN = /port is already allocated|address already in use|ports are not available/i;

/**
 * Adopts the container that fits `plan`, else makes one (replacing one of ours that does not fit; the volume is kept).
 * Calls that change something are not aborted half way, as the daemon would finish them unseen: they are awaited, then undone.
 */
export async function startContainer(docker: Docker, plan: ContainerPlan, report: StartReport, signal: AbortSignal): Promise<RunningEngine> {
  const undo = new Undo();
  try {
    const existing = await inspectIfThere(docker, plan.name, signal);
    if (existing && !isOurs(existing, plan)) throw foreignContainer(plan.name);
    const url = existing && isAdoptable(existing, plan) ? urlOf(existing) : undefined;
    if (existing && url) {
      report.starting(`Adopting the container ${plan.name}, which runs with this configuration already.`);
      return watchContainer(docker.getContainer(existing.Id), url);
    }
    await acquireImage(docker, plan.image, report, signal);
    report.creating(existing ? `Replacing the container ${plan.name}; its models in the volume ${plan.volume} are kept.` : `Creating the container ${plan.name}.`);
    if (existing) await removeOld(docker, existing);
    signal.throwIfAborted();
    await ensureVolume(docker, plan, undo);
    signal.throwIfAborted();
    return await createAndStart(docker, plan, undo, report, signal);
  } catch (thrown) {
    const leftovers = await undo.run();
    const failure = signal.aborted
      ? new MeshError('cancelled', 'The start of the engine container was cancelled.', { cause: signal.reason })
      : unavailable(`The engine container ${plan.name} could not be started`, thrown, 'See "docker info" and the orchestrator\'s log, or choose another engine.driver.');
    throw leftovers ? new MeshError(failure.code, `${failure.message} Left behind: ${leftovers}.`, { cause: failure }) : failure;
  }
}

async function acquireImage(docker: Docker, image: string, report: StartReport, signal: AbortSignal): Promise<void> {
  if (await hasImage(docker, image, CALL_LIMIT_MS, signal)) return;
  const reason = `Pulling the container image ${image}.`;
  report.acquiring(reason);
  await pullImage(docker, image, (percent) => report.acquiring(reason, percent), signal);
}

async function createAndStart(docker: Docker, plan: ContainerPlan, undo: Undo, report: StartReport, signal: AbortSignal): Promise<RunningEngine> {
  const ports = plan.port !== 0 && (await isFree(plan.port)) ? [plan.port, 0] : [0];
  for (const port of ports) {
    const container = await bounded(() => docker.createContainer(plan.options(port)));
    undo.push(`the container ${plan.name}`, () => container.remove({ force: true, v: true }));
    signal.throwIfAborted();
    report.starting(plan.port === port ? `Starting the container ${plan.name}.` : `Port ${plan.port} is taken; starting the container ${plan.name} on a free one.`);
    try {
      await bounded(() => container.start());
    } catch (thrown) {
      // The port was free a moment ago; take any other.
      if (port === 0 || !PORT_TAKEN.test(wordsOf(thrown))) throw thrown;
      await bounded(() => container.remove({ force: true, v: true }));
      undo.pop();
      continue;
    }
    signal.throwIfAborted();
    const url = urlOf(await bounded(() => container.inspect()));
    if (!url) throw await diedAtOnce(container, plan);
    return watchContainer(container, url);
  }
  throw new MeshError('engine_unavailable', `No loopback port could be published for the container ${plan.name}. Free one, or choose another engine.port.`);
}

/** A container without a published port has ended already; its log says why. */
async function diedAtOnce(container: Docker.Container, plan: ContainerPlan): Promise<MeshError> {
  const tail = new ContainerLog(new LogTail({ maxLines: 5, maxChars: 300 }));
  tail.write(await bounded(() => container.logs({ stdout: true, stderr: true, tail: 5 })));
  const { State } = await bounded(() => container.inspect());
  const said = tail.lines().join(' / ') || 'it wrote no log';
  return new MeshError('engine_unavailable', `The engine container ended at once with exit code ${State.ExitCode}: ${said}. Check that ${plan.image} is an Ollama image.`, {
    details: { driver: 'docker', exitCode: State.ExitCode },
  });
}

async function inspectIfThere(docker: Docker, name: string, outer: AbortSignal): Promise<Docker.ContainerInspectInfo | undefined> {
  return await bounded((abortSignal) => docker.getContainer(name).inspect({ abortSignal }), { outer }).catch(undefinedIfMissing);
}

async function removeOld(docker: Docker, { Id, State }: Docker.ContainerInspectInfo): Promise<void> {
  const container = docker.getContainer(Id);
  if (State.Running) {
    await bounded(() => container.stop({ t: REPLACE_GRACE_S })).catch((thrown: unknown) => {
      // 304: it has stopped meanwhile.
      if (statusOf(thrown) !== 304) undefinedIfMissing(thrown);
    });
  }
  await bounded(() => container.remove({ force: true, v: true })).catch(undefinedIfMissing);
}

/** Creates the models' volume if it is not there; one that was there is never removed. */
async function ensureVolume(docker: Docker, { volume, labels }: ContainerPlan, undo: Undo): Promise<void> {
  const there = await bounded(() => docker.getVolume(volume).inspect()).catch(undefinedIfMissing);
  if (there) return;
  await bounded(() => docker.createVolume({ Name: volume, Labels: { ...labels } }));
  undo.push(`the volume ${volume}`, () => docker.getVolume(volume).remove());
}

function foreignContainer(name: string): MeshError {
  return new MeshError('engine_unavailable', `A container named ${name} exists that ollamesh did not make for this node. Rename or remove it, or give this node another name.`);
}

/** True where nothing listens on a loopback port. Docker's own answer comes too late and differs between its versions. */
async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** What was made so far, to be unmade newest first. */
class Undo {
  readonly #steps: { what: string; undo: () => Promise<unknown> }[] = [];

  push(what: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ what, undo });
  }

  pop(): void {
    this.#steps.pop();
  }

  /** Undoes everything; answers what could not be undone and why, or an empty text. */
  async run(): Promise<string> {
    const leftovers: string[] = [];
    for (const { what, undo } of this.#steps.reverse()) {
      await bounded(undo).catch((thrown: unknown) => {
        if (statusOf(thrown) !== 404) leftovers.push(`${what} (${wordsOf(thrown)})`);
      });
    }
    return leftovers.join(', ');
  }
}
