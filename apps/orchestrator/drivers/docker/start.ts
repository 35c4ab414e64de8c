/** From plans to a running container: adopt, or acquire and create, one way to a GPU after the other; what was half made is removed again. */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineGpu, MeshError } from '#contracts';
import type Docker from 'dockerode';
import { withDeadline } from '#deadline';
import type { RunningEngine, StartReport } from '../driver.js';
import type { LineSink } from '../engine-log.js';
import { LogTail } from '../log-tail.js';
import { bounded, CALL_LIMIT_MS } from './bounded.js';
import { ContainerLog } from './container-log.js';
import { type ContainerPlan, isOurs, NODE_LABEL, planOf, urlOf } from './container.js';
import { statusOf, unavailable, undefinedIfMissing, wordsOf } from './failure.js';
import { gpuFailureOf, type GpuReport, gpuReportIn } from './gpu-report.js';
import { ensurePlace } from './models-place.js';
import { hasImage, pullImage } from './pull.js';
import { watchContainer } from './running.js';
import { Undo } from './undo.js';

/** What an old container gets to end by itself before it is replaced, in seconds. */
const REPLACE_GRACE_S = 10;
const PORT_TAKEN = /port is already allocated|address already in use|ports are not available/i;
const ADVICE = 'See "docker info" and the orchestrator\'s log, or choose another engine.driver.';
/** How long an engine may take to say what it computes with, in milliseconds; finding a GPU takes some engines seconds. */
const GPU_REPORT_MS = 20_000;
const GPU_POLL_MS = 150;
/** How long another start of the same container is waited for, in milliseconds. */
const RIVAL_MS = 10_000;

export interface Start {
  readonly docker: Docker;
  /** At least one, best first. */
  readonly plans: readonly [ContainerPlan, ...ContainerPlan[]];
  readonly log: LineSink;
  readonly report: StartReport;
  readonly signal: AbortSignal;
}

/**
 * Adopts the container that fits one of the plans, else makes one (replacing one of ours that does not fit; the models are kept).
 * Calls that change something are not aborted half way, as the daemon would finish them unseen: they are awaited, then undone.
 */
export async function startContainer(start: Start): Promise<RunningEngine> {
  const { docker, plans, signal } = start;
  const { name, labels } = plans[0];
  const undo = new Undo();
  try {
    const existing = await inspectIfThere(docker, name, signal);
    if (existing && !isOurs(existing, labels[NODE_LABEL])) throw foreignContainer(name);
    const adopted = existing && (await adopt(start, existing, undo));
    if (adopted) return adopted;
    return await tryPlans(start, existing, undo);
  } catch (thrown) {
    const leftovers = await undo.run();
    const failure = signal.aborted
      ? new MeshError('cancelled', 'The start of the engine container was cancelled.', { cause: signal.reason })
      : unavailable(`The engine container ${name} could not be started`, thrown, ADVICE);
    throw leftovers ? new MeshError(failure.code, `${failure.message} Left behind: ${leftovers}.`, { cause: failure }) : failure;
  }
}

/** A container of ours as it is, started again if it has ended; undefined where it fits no plan or can't be had. */
async function adopt({ docker, plans, log, report, signal }: Start, existing: Docker.ContainerInspectInfo, undo: Undo): Promise<RunningEngine | undefined> {
  const plan = planOf(existing, plans);
  if (!plan) return undefined;
  const container = docker.getContainer(existing.Id);
  const { Running, Paused, Restarting } = existing.State;
  try {
    if (Paused) await bounded(() => container.unpause());
    if (!Running && !Restarting) {
      report.starting(`Starting the container ${plan.name} again.`);
      undo.push(`the container ${plan.name}`, () => container.remove({ force: true, v: true }));
      await bounded(() => container.start());
    }
    signal.throwIfAborted();
    const url = urlOf(Running && !Paused ? existing : await bounded(() => container.inspect()));
    if (url === undefined) return undefined;
    if (Running) report.starting(`Adopting the container ${plan.name}, which runs with this configuration already.`);
    const seen = plan.gpu.way === 'cpu' ? undefined : await (Running ? reportSoFar(container) : gpuReport(container, url, signal));
    return watchContainer({ docker, container, url, image: plan.image, log, gpu: gpuOf(plan, seen), discard: () => Promise.resolve() });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    await undo.run(); // It is replaced, then.
    return undefined;
  }
}

/** As adopt, for a container that another start is making just now: its name is taken before it can be looked at. */
async function adoptRival(start: Start, { name, labels }: ContainerPlan): Promise<RunningEngine | undefined> {
  for (const until = performance.now() + RIVAL_MS; performance.now() < until; ) {
    const now = await inspectIfThere(start.docker, name, start.signal);
    if (now && !isOurs(now, labels[NODE_LABEL])) return undefined;
    const adopted = now?.State.Running ? await adopt(start, now, new Undo()) : undefined;
    if (adopted) return adopted;
    await sleep(GPU_POLL_MS, undefined, { signal: start.signal });
  }
  return undefined;
}

async function tryPlans(start: Start, existing: Docker.ContainerInspectInfo | undefined, undo: Undo): Promise<RunningEngine> {
  const { docker, plans, report, signal } = start;
  let old = existing;
  let placed = false;
  const failures: string[] = [];
  for (const [index, plan] of plans.entries()) {
    const next = plans[index + 1];
    try {
      await acquireImage(docker, plan.image, report, signal);
      report.creating(old ? `Replacing the container ${plan.name}; its models are kept.` : `Creating the container ${plan.name}. ${plan.gpu.reason}`);
      if (old) await removeOld(docker, old);
      old = undefined;
      signal.throwIfAborted();
      if (!placed) await ensurePlace(docker, plan, undo);
      placed = true;
      signal.throwIfAborted();
      return await createAndStart(start, plan, failures, undo);
    } catch (thrown) {
      // Another start of this node was quicker by a moment: then one engine is enough.
      const rival = statusOf(thrown) === 409 && !signal.aborted ? await adoptRival(start, plan) : undefined;
      if (rival) return rival;
      if (signal.aborted || !next) throw failures.length > 0 && !signal.aborted ? allFailed(plan, failures, thrown) : thrown;
      const why = thrown instanceof MeshError ? thrown.message : gpuFailureOf(thrown);
      failures.push(`${plan.gpu.way}: ${why.replace(/\.$/, '')}.`);
      report.creating(`No GPU by way of ${plan.gpu.way}: ${why.replace(/\.$/, '')}. Trying ${next.gpu.way === 'cpu' ? 'the CPU' : next.gpu.way}.`);
    }
  }
  throw new RangeError('There is no plan for the engine container.');
}

function allFailed({ name, gpu }: ContainerPlan, failures: readonly string[], thrown: unknown): MeshError {
  const last = thrown instanceof MeshError ? thrown.message : gpu.way === 'cpu' ? wordsOf(thrown) : gpuFailureOf(thrown);
  return unavailable(`The engine container ${name} could not be started`, new Error([...failures, `${gpu.way}: ${last.replace(/\.$/, '')}`].join(' ')), ADVICE);
}

export async function acquireImage(docker: Docker, image: string, report: Pick<StartReport, 'acquiring'>, signal: AbortSignal): Promise<void> {
  if (await hasImage(docker, image, CALL_LIMIT_MS, signal)) return;
  const reason = `Pulling the container image ${image}.`;
  report.acquiring(reason);
  await pullImage(docker, image, (progress) => report.acquiring(reason, progress), signal);
}

async function createAndStart({ docker, log, report, signal }: Start, plan: ContainerPlan, failures: readonly string[], undo: Undo): Promise<RunningEngine> {
  const ports = plan.port !== 0 && (await isFree(plan.port)) ? [plan.port, 0] : [0];
  for (const port of ports) {
    const container = await bounded(() => docker.createContainer(plan.options(port)));
    const remove = (): Promise<unknown> => bounded(() => container.remove({ force: true, v: true }));
    undo.push(`the container ${plan.name}`, remove);
    signal.throwIfAborted();
    report.starting(plan.port === port ? `Starting the container ${plan.name}.` : `Port ${plan.port} is taken; starting the container ${plan.name} on a free one.`);
    try {
      await bounded(() => container.start());
      signal.throwIfAborted();
      const url = urlOf(await bounded(() => container.inspect()));
      if (!url) throw await diedAtOnce(container, plan);
      const seen = plan.gpu.way === 'cpu' ? undefined : await gpuReport(container, url, signal);
      if (seen && !seen.gpu) throw new MeshError('engine_unavailable', seen.words);
      undo.pop();
      const discard = (): Promise<unknown> => undo.run();
      return watchContainer({ docker, container, url, image: plan.image, log, gpu: gpuOf(plan, seen, failures), discard });
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      await remove();
      undo.pop();
      // The port was free a moment ago; take any other.
      if (port === 0 || !PORT_TAKEN.test(wordsOf(thrown))) throw thrown;
    }
  }
  throw new MeshError('engine_unavailable', `No loopback port could be published for the container ${plan.name}. Free one, or choose another engine.port.`);
}

function gpuOf({ gpu }: ContainerPlan, seen: GpuReport | undefined, failures: readonly string[] = []): EngineGpu {
  if (gpu.way === 'cpu') return { state: 'none', reason: failures.length > 0 ? `The CPU works. ${failures.join(' ')}` : gpu.reason };
  const before = failures.length > 0 ? ` ${failures.join(' ')}` : '';
  if (seen && !seen.gpu) return { state: 'lost', reason: `${gpu.reason} But ${seen.words}.` };
  if (seen) return { state: 'verified', reason: `${seen.words}${before}` };
  return { state: 'granted', reason: `${gpu.reason} The engine has not said whether it uses it.${before}` };
}

/** What the engine says of the GPU; undefined when it ends or answers without having said a word about it. */
async function gpuReport(container: Docker.Container, url: string, signal: AbortSignal): Promise<GpuReport | undefined> {
  let answered = false;
  for (const until = performance.now() + GPU_REPORT_MS; performance.now() < until; ) {
    const report = await reportSoFar(container);
    if (report || answered) return report;
    if (!(await bounded(() => container.inspect())).State.Running) return undefined;
    // An engine says it before it answers.
    answered = await fetch(`${url}/api/version`, { signal: withDeadline(signal, 1_000) }).then(({ ok }) => ok, () => false);
    await sleep(GPU_POLL_MS, undefined, { signal });
  }
  return undefined;
}

/** Of the log's beginning, which is where it stands. */
async function reportSoFar(container: Docker.Container): Promise<GpuReport | undefined> {
  const { State } = await bounded(() => container.inspect());
  const until = Math.ceil((Date.parse(State.StartedAt) + GPU_REPORT_MS) / 1_000);
  const tail = new LogTail({ maxLines: 1_000 });
  const log = new ContainerLog(tail);
  log.write(await bounded(() => container.logs({ stdout: true, stderr: true, since: Math.floor(Date.parse(State.StartedAt) / 1_000), until })));
  return gpuReportIn(tail.lines());
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
  if (State.Paused) await bounded(() => container.unpause()).catch(undefinedIfMissing);
  if (State.Running) {
    await bounded(() => container.stop({ t: REPLACE_GRACE_S })).catch((thrown: unknown) => {
      // 304: it has stopped meanwhile.
      if (statusOf(thrown) !== 304) undefinedIfMissing(thrown);
    });
  }
  await bounded(() => container.remove({ force: true, v: true })).catch(undefinedIfMissing);
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
