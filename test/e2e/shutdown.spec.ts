/** Whatever ends a mesh, nothing of it stays: every descendant and every listening port noted before is looked for afterwards. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { ramble } from '../support/answers.js';
import { openSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { HAS_PROC, descendantsOf, isAlive, isClosed, listeningPorts, stateOf } from '../support/process-table.js';
import { CLI, runNode, untilSaid } from '../support/program.js';
import { connectSocket } from '../support/socket-client.js';
import { isTerminal, positionOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

/** The promise to users: Ctrl-C ends everything within five seconds. */
const PROMISE_MS = 5_000;

interface Footprint {
  readonly pids: number[];
  readonly ports: number[];
}

function footprintOf({ pid }: MeshProcess): Footprint {
  const pids = [pid, ...descendantsOf(pid)];
  return { pids, ports: listeningPorts(pids) };
}

async function remainsOf({ pids, ports }: Footprint): Promise<Footprint> {
  const open = await Promise.all(ports.map(async (port) => ((await isClosed(port)) ? [] : [port])));
  return { pids: pids.filter(isAlive), ports: open.flat() };
}

async function untilNothingRemains(footprint: Footprint): Promise<void> {
  await until('every process and port is gone', async () => {
    const { pids, ports } = await remainsOf(footprint);
    return pids.length + ports.length === 0;
  }, PROMISE_MS);
}

(HAS_PROC ? describe : describe.skip)('the end of a mesh (skipped where there is no /proc to witness it)', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s: with viewers on every transport, all processes and ports are gone within five seconds', async (signal) => {
    const mesh = await startMesh();
    const engine = await mesh.engine();
    const footprint = footprintOf(mesh);
    expect(footprint.pids).toContain(engine);
    expect(footprint.ports.length).toBeGreaterThanOrEqual(3); // Gateway, bus, engine.

    const news = await openSse(`${mesh.url}/events`);
    const stream = await openSse(`${mesh.url}/streams`, { body: ramble() });
    await stream.seen((events) => events.some(({ event }) => event === 'delta'));
    const id = String(stream.events[0]?.data['id']);
    const client = await connectSocket(mesh.url);
    await client.ask('join', { streamId: id });

    const disconnected = new Promise((resolve) => client.socket.once('disconnect', resolve));
    expect(await mesh.program.end(signal, PROMISE_MS)).toEqual({ code: 0, signal: null });
    expect(await remainsOf(footprint)).toEqual({ pids: [], ports: [] });
    await Promise.all([news.ended, stream.ended, disconnected]);
    expect(stream.events.filter(isTerminal).length).toBeLessThanOrEqual(1);
    await mesh.stop();
  });

  it('a viewer of a live stream is cut without a terminal event: it has a position to come back with', async () => {
    const mesh = await startMesh();
    const engine = await mesh.engine();
    process.kill(engine, 'SIGSTOP'); // The answer can't be over before the end.
    const stream = await openSse(`${mesh.url}/streams`, { body: { prompt: 'Tell me a short story.' } });
    await stream.seen((events) => events.length >= 2);
    const client = await connectSocket(mesh.url);
    const id = String(stream.events[0]?.data['id']);
    await client.ask('join', { streamId: id });
    const cut = new Promise<string>((resolve) => client.socket.once('disconnect', resolve));
    const ending = mesh.program.end('SIGINT', PROMISE_MS);
    await stream.ended;
    expect(await cut).not.toBe('io server disconnect'); // After that one a client would not reconnect by itself.
    for (const events of [stream.events, client.eventsOf(id)]) {
      expect(events.filter(isTerminal)).toEqual([]);
      expect(positionOf(events)).toMatch(/^1-\d+$/);
    }
    await ending;
    expect(isAlive(engine)).toBe(false);
    await mesh.stop();
  });

  it('an engine that does not listen to reason is killed within the five seconds', async () => {
    const mesh = await startMesh();
    const engine = await mesh.engine();
    const footprint = footprintOf(mesh);
    process.kill(engine, 'SIGSTOP');
    await until('the engine is stopped', () => stateOf(engine) === 'T');
    await mesh.program.end('SIGINT', PROMISE_MS);
    await untilNothingRemains(footprint);
    await mesh.stop();
  });

  it('a second SIGINT ends the mesh at once, and nothing of it stays', async () => {
    const mesh = await startMesh();
    const engine = await mesh.engine();
    const footprint = footprintOf(mesh);
    process.kill(engine, 'SIGSTOP'); // The first one would wait for it.
    await until('the engine is stopped', () => stateOf(engine) === 'T');
    process.kill(mesh.pid, 'SIGINT');
    await until('it says that it stops', () => mesh.program.stderr.includes('Stopping'));
    await sleep(200);
    expect(isAlive(mesh.pid)).toBe(true); // Otherwise the second one proves nothing.
    expect(await mesh.program.end('SIGINT', PROMISE_MS)).toEqual({ code: 130, signal: null });
    await untilNothingRemains(footprint);
    await mesh.stop();
  });

  const withNatsServer = existsSync('/usr/sbin/nats-server') ? it : it.skip;
  withNatsServer('a nats-server started as the bus goes the same way, politely and at once (skipped where none is installed)', async () => {
    const polite = await startMesh({ env: { OLLAMESH_BUS_SERVER: 'nats-server' } });
    const first = footprintOf(polite);
    await polite.program.end('SIGINT', PROMISE_MS);
    expect(await remainsOf(first)).toEqual({ pids: [], ports: [] });
    await polite.stop();

    const hasty = await startMesh({ env: { OLLAMESH_BUS_SERVER: 'nats-server' } });
    const second = footprintOf(hasty);
    process.kill(await hasty.engine(), 'SIGSTOP'); // The first signal would wait for it.
    process.kill(hasty.pid, 'SIGINT');
    await until('it says that it stops', () => hasty.program.stderr.includes('Stopping'));
    await hasty.program.end('SIGINT', PROMISE_MS);
    await untilNothingRemains(second);
    await hasty.stop();
  });

  it('kill -9: the embedded engine notices and ends by itself', async () => {
    const mesh = await startMesh();
    const footprint = footprintOf(mesh);
    const stream = await openSse(`${mesh.url}/streams`, { body: ramble() });
    await stream.seen((events) => events.some(({ event }) => event === 'delta'));
    await mesh.program.end('SIGKILL');
    await untilNothingRemains(footprint);
    await mesh.stop();
  });

  it('SIGINT before the mesh is ready ends it as well', async () => {
    const dataDir = await temporaryFolder();
    const program = runNode([CLI, 'up', '--json'], { env: { OLLAMESH_DATA_DIR: dataDir, OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded' } });
    await untilSaid(program, '"what":"bus"');
    const descendants = descendantsOf(program.pid);
    const exit = await program.end('SIGINT', PROMISE_MS);
    expect(exit.signal).toBeNull();
    await until('no descendant is left', () => !descendants.some(isAlive), PROMISE_MS);
    await rm(dataDir, { recursive: true, force: true });
  });
});
