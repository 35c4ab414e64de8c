/** A container that runs: its log's tail, how it ends, and how it is stopped. start.ts makes it. */
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { EngineExit, RunningEngine } from '../driver.js';
import { bounded } from './bounded.js';
import { statusOf, undefinedIfMissing } from './failure.js';
import { ContainerLog } from './container-log.js';

/** How long the last log lines may trail the exit, in milliseconds. */
const LOG_DRAIN_MS = 500;
/** Pause before asking a daemon again that went away, in milliseconds. */
const RECONNECT_MS = 1_000;
/** What a call may take beyond the grace it was given, in milliseconds. */
const SLACK_MS = 10_000;
/** Exit code of a process ended by SIGKILL, as Docker reports it. */
const KILLED = 137;

export function watchContainer(container: Docker.Container, url: string): RunningEngine {
  const tail = new ContainerLog();
  const gaveUp = new AbortController();
  const exited = untilExit(container, tail, gaveUp.signal);
  let stopping: ReturnType<RunningEngine['stop']> | undefined;
  return {
    url,
    exited,
    lastLogLines: () => tail.lines(),
    stop: (graceMs) => (stopping ??= stopContainer(container, exited, graceMs).finally(() => gaveUp.abort())),
  };
}

/** Follows a container, across restarts of the daemon, until it has ended or `gaveUp`. Never rejects. */
async function untilExit(container: Docker.Container, tail: ContainerLog, gaveUp: AbortSignal): Promise<EngineExit> {
  while (!gaveUp.aborted) {
    const round = new AbortController();
    const end = (): void => round.abort();
    gaveUp.addEventListener('abort', end, { once: true });
    try {
      const logs = followLogs(container, tail, round.signal);
      // No time limit: an engine may run for months. Giving up ends it.
      const { StatusCode } = (await container.wait({ abortSignal: round.signal })) as { StatusCode: number };
      await Promise.race([logs, delay(LOG_DRAIN_MS)]);
      return await exitOf(container, StatusCode);
    } catch (thrown) {
      if (statusOf(thrown) === 404) break;
      await delay(RECONNECT_MS);
    } finally {
      gaveUp.removeEventListener('abort', end);
      round.abort();
    }
  }
  return { code: null, signal: null, outOfMemory: false };
}

/** Resolves when the log ends or breaks off; the exit, not the log, says what happened. */
async function followLogs(container: Docker.Container, tail: ContainerLog, abortSignal: AbortSignal): Promise<void> {
  try {
    const log = await container.logs({ follow: true, stdout: true, stderr: true, tail: 50, abortSignal });
    tail.restart();
    for await (const chunk of log) tail.write(chunk as Buffer);
  } catch (thrown) {
    if (!abortSignal.aborted) tail.note(`(the container's log broke off: ${String(thrown)})`);
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
    await bounded((abortSignal) => container.stop({ t: seconds, abortSignal }), { limitMs: seconds * 1000 + SLACK_MS }).catch(ignoreIfStopped);
    const { code } = await bounded(() => exited, { limitMs: SLACK_MS });
    // The volume stays; a stopped container would only be litter, as the next start makes a new one.
    await bounded((abortSignal) => container.remove({ force: true, v: true, abortSignal })).catch(ignoreIfStopped);
    return code === KILLED ? 'killed' : 'stopped';
  } catch {
    // The daemon doesn't answer, so nobody knows better than this.
    return 'left running';
  }
}

/** 304: stopped already; 404: gone already; 409: being removed already. */
function ignoreIfStopped(thrown: unknown): void {
  if (![304, 404, 409].includes(statusOf(thrown) ?? 0)) throw thrown;
}
