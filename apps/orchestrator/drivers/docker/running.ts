/** A container that runs: its log, how it ends, that it is paused, what it takes, and how it is stopped. start.ts makes it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineGpu } from '#contracts';
import type Docker from 'dockerode';
import { withDeadline } from '#deadline';
import type { EngineExit, RunningEngine } from '../driver.js';
import type { LineSink } from '../engine-log.js';
import { LogTail } from '../log-tail.js';
import { bounded } from './bounded.js';
import { ContainerLog } from './container-log.js';
import { statusOf, undefinedIfMissing, wordsOf } from './failure.js';
import { saysGpuLost } from './gpu-report.js';
import { usageOf } from './usage.js';

/** How long the last log lines may trail the exit, in milliseconds. */
const LOG_DRAIN_MS = 200;
/** Pause before asking a daemon again that went away, in milliseconds. */
const RECONNECT_MS = 1_000;
/** What a call may take beyond the grace it was given, in milliseconds. */
const SLACK_MS = 10_000;
/** Exit code of a process ended by SIGKILL, as Docker reports it. */
const KILLED = 137;

export interface Watched {
  readonly docker: Docker;
  readonly container: Docker.Container;
  readonly url: string;
  readonly image: string;
  readonly gpu: EngineGpu;
  readonly log: LineSink;
  /** Removes what the start alone had made besides the container. */
  discard(): Promise<unknown>;
}

export function watchContainer({ docker, container, url, image, gpu, log, discard }: Watched): RunningEngine {
  const pause = new PauseListeners();
  let gpuLost: (line: string) => void = () => undefined;
  const lost = new Promise<string>((resolve) => (gpuLost = resolve));
  const onLine = (line: string): void => {
    log(line);
    if (gpu.state !== 'none' && saysGpuLost(line)) gpuLost(line);
  };
  const tail = new ContainerLog(new LogTail({ onLine }));
  const gaveUp = new AbortController();
  const exited = untilExit({ docker, container, url, tail, pause }, gaveUp.signal);
  let stopping: ReturnType<RunningEngine['stop']> | undefined;
  const stop = (graceMs: number): ReturnType<RunningEngine['stop']> =>
    (stopping ??= stopContainer(container, exited, graceMs).finally(() => gaveUp.abort()));
  return {
    url,
    image,
    gpu,
    gpuLost: lost,
    exited,
    lastLogLines: () => tail.lines(),
    stop,
    async release() {
      gaveUp.abort();
      return 'left running';
    },
    async discard() {
      await stop(0);
      await discard();
    },
    onPause: (listener) => void pause.listeners.add(listener),
    async resume() {
      const { State } = await bounded((abortSignal) => container.inspect({ abortSignal }));
      if (State.Paused) await bounded(() => container.unpause());
      return State.Paused;
    },
    usage: async (outer) => usageOf(await bounded(() => container.stats({ stream: false }), { limitMs: SLACK_MS, outer })),
  };
}

class PauseListeners {
  readonly listeners = new Set<(paused: boolean) => void>();

  tell(paused: boolean): void {
    for (const listener of this.listeners) listener(paused);
  }
}

interface Followed {
  readonly docker: Docker;
  readonly container: Docker.Container;
  readonly url: string;
  readonly tail: ContainerLog;
  readonly pause: PauseListeners;
}

/** Follows a container, across restarts of the daemon, until it has ended or `gaveUp`. Never rejects. */
async function untilExit({ docker, container, url, tail, pause }: Followed, gaveUp: AbortSignal): Promise<EngineExit> {
  let since: number | undefined;
  while (!gaveUp.aborted) {
    const round = new AbortController();
    const end = (): void => round.abort();
    gaveUp.addEventListener('abort', end, { once: true });
    try {
      const logs = followLogs(container, tail, since, round.signal);
      void followPauses(docker, container.id, pause, round.signal);
      // No time limit: an engine may run for months. Giving up ends it.
      const { StatusCode } = (await container.wait({ abortSignal: round.signal })) as { StatusCode: number };
      await Promise.race([logs, delay(LOG_DRAIN_MS)]);
      return await exitOf(container, StatusCode);
    } catch (thrown) {
      if (gaveUp.aborted || statusOf(thrown) === 404) break;
      since = Math.floor(Date.now() / 1_000);
      await delay(RECONNECT_MS);
      const gone = await dockerGone(container, url);
      if (gone !== undefined) return { code: null, signal: null, outOfMemory: false, lost: gone };
    } finally {
      gaveUp.removeEventListener('abort', end);
      round.abort();
    }
  }
  return { code: null, signal: null, outOfMemory: false };
}

/** Why nothing will be heard of the container any more: its daemon is gone, and it with it. A container may outlive its daemon. */
async function dockerGone(container: Docker.Container, url: string): Promise<string | undefined> {
  try {
    await bounded((abortSignal) => container.inspect({ abortSignal }), { limitMs: RECONNECT_MS });
    return undefined;
  } catch (thrown) {
    if (statusOf(thrown) !== undefined) return undefined;
    const answers = await fetch(`${url}/api/version`, { signal: withDeadline(undefined, RECONNECT_MS) }).then(() => true, () => false);
    return answers ? undefined : `Docker went away, and it with it (${wordsOf(thrown)})`;
  }
}

/** Resolves when the log ends or breaks off; the exit, not the log, says what happened. */
async function followLogs(container: Docker.Container, tail: ContainerLog, since: number | undefined, abortSignal: AbortSignal): Promise<void> {
  try {
    // After a break only what is new, or old lines would be told twice.
    const from = since === undefined ? { tail: 50 } : { since };
    const log = await container.logs({ follow: true, stdout: true, stderr: true, ...from, abortSignal });
    tail.restart();
    for await (const chunk of log) tail.write(chunk as Buffer);
  } catch (thrown) {
    if (!abortSignal.aborted) tail.note(`(the container's log broke off: ${String(thrown)})`);
  }
}

/** Docker's own events: a paused container looks like a hung one to everybody else. Ends, silently, with the connection. */
async function followPauses(docker: Docker, id: string, pause: PauseListeners, abortSignal: AbortSignal): Promise<void> {
  try {
    const events = await docker.getEvents({ filters: { container: [id], event: ['pause', 'unpause'] }, abortSignal });
    for await (const chunk of events) {
      for (const line of String(chunk).split('\n')) {
        if (line.trim() === '') continue;
        const { Action } = JSON.parse(line) as { Action?: string };
        if (Action === 'pause' || Action === 'unpause') pause.tell(Action === 'pause');
      }
    }
  } catch {
    // The daemon went away or the watch is over: the wait for the exit, beside this, deals with both.
  }
}

async function exitOf(container: Docker.Container, code: number): Promise<EngineExit> {
  // Someone may have removed it at once (docker run --rm, docker rm -f): then the code is all there is to know.
  const info = await bounded((abortSignal) => container.inspect({ abortSignal })).catch(undefinedIfMissing);
  return { code, signal: null, outOfMemory: info?.State.OOMKilled ?? false };
}

async function stopContainer(container: Docker.Container, exited: Promise<EngineExit>, graceMs: number): ReturnType<RunningEngine['stop']> {
  const seconds = Math.ceil(graceMs / 1000);
  try {
    const { State } = await bounded((abortSignal) => container.inspect({ abortSignal }));
    // A paused process hears no signal.
    if (State.Paused) await bounded(() => container.unpause()).catch(ignoreIfStopped);
    await bounded((abortSignal) => container.stop({ t: seconds, abortSignal }), { limitMs: seconds * 1000 + SLACK_MS }).catch(ignoreIfStopped);
    const { code } = await bounded(() => exited, { limitMs: SLACK_MS });
    // The volume stays; a stopped container would only be litter, as the next start makes a new one.
    await bounded((abortSignal) => container.remove({ force: true, v: true, abortSignal })).catch(ignoreIfStopped);
    return code === KILLED ? 'killed' : 'stopped';
  } catch (thrown) {
    // Gone already; or the daemon doesn't answer, so nobody knows better than this.
    return statusOf(thrown) === 404 ? 'stopped' : 'left running';
  }
}

/** 304: stopped already; 404: gone already; 409: being removed already. */
function ignoreIfStopped(thrown: unknown): void {
  if (![304, 404, 409].includes(statusOf(thrown) ?? 0)) throw thrown;
}
