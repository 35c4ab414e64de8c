/** Looks into a Node process that was started with --inspect, by the debugger's own protocol: nothing of it is in the program. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { WebSocket } from 'undici';
import type { Program } from './program.js';
import { until } from './until.js';

/** What a process holds after a garbage collection. */
export interface Held {
  readonly heapBytes: number;
  /** Sockets, servers, timers, and whatever else keeps its loop alive. */
  readonly resources: number;
  readonly files: number;
}

export interface Inspected {
  held(): Promise<Held>;
  close(): void;
}

export async function inspect(program: Program): Promise<Inspected> {
  const url = await until('the debugger listens', () => /Debugger listening on (ws:\S+)/.exec(program.stderr)?.[1]);
  const socket = new WebSocket(url);
  await once(socket as never, 'open');
  const waiting = new Map<number, (result: Record<string, never>) => void>();
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: Record<string, never> };
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  let calls = 0;
  const call = <Result>(method: string, params: object = {}) =>
    new Promise<Result>((resolve) => {
      waiting.set(++calls, resolve as never);
      socket.send(JSON.stringify({ id: calls, method, params }));
    });
  return {
    async held() {
      for (let times = 0; times < 3; times++) await call('HeapProfiler.collectGarbage'); // What finalizers release goes with the next.
      const { usedSize } = await call<{ usedSize: number }>('Runtime.getHeapUsage');
      const { result } = await call<{ result: { value: number } }>('Runtime.evaluate', { expression: 'process.getActiveResourcesInfo().length' });
      return { heapBytes: usedSize, resources: result.value, files: readdirSync(`/proc/${program.pid}/fd`).length };
    },
    close: () => socket.close(),
  };
}
