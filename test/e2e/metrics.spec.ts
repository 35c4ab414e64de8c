/** /metrics on a live mesh: what viewers just did is what it counts, in the text format that Prometheus reads. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startBroker } from '#broker';
import { startLone } from '../support/lone-apps.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';

describe('metrics', () => {
  let mesh: MeshProcess;
  beforeAll(async () => {
    mesh = await startMesh();
  });
  afterAll(async () => {
    await mesh.stop();
  });

  async function read(): Promise<Map<string, number>> {
    const response = await fetch(`${mesh.url}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const samples = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
  }

  it('streams: frames, deliveries, joins and resumes are counted where they happen', async () => {
    const before = await read();
    const grown = (after: Map<string, number>, name: string) => (after.get(name) ?? NaN) - (before.get(name) ?? NaN);
    const created = await fetch(`${mesh.url}/streams`, { method: 'POST', body: JSON.stringify({ prompt: 'What is NATS?' }) });
    const { id } = (await created.json()) as { id: string };
    const watch = async (after = '') => (await fetch(`${mesh.url}/streams/${id}${after}`, { headers: { accept: 'text/event-stream' } })).text();
    const tokens = Number(/"eval_count":(\d+)/.exec(await watch())?.[1]);
    await watch('?last_event_id=1-2');
    await watch('?last_event_id=7-7');
    const after = await read();
    expect(tokens).toBeGreaterThan(10);
    expect(grown(after, 'ollamesh_relay_frames_total')).toBeGreaterThanOrEqual(tokens);
    expect(grown(after, 'ollamesh_relay_flushes_total')).toBeGreaterThan(0);
    expect(grown(after, 'ollamesh_relay_deliveries_total')).toBe(grown(after, 'ollamesh_relay_flushes_total')); // One viewer at a time.
    expect(grown(after, 'ollamesh_relay_joins_total{by="start"}')).toBe(1);
    expect(grown(after, 'ollamesh_relay_joins_total{by="resume"}')).toBe(1);
    expect(grown(after, 'ollamesh_relay_joins_total{by="unknown_position"}')).toBe(1);
    expect(grown(after, 'ollamesh_streams{state="finished"}')).toBe(1);
    expect(grown(after, 'ollamesh_finished_streams_bytes')).toBeGreaterThan(tokens);
    expect(after.get('ollamesh_viewers')).toBe(0);
    expect(after.get('ollamesh_relay_window_seconds')).toBe(0);
    expect(after.get('ollamesh_bus_invalid_messages_total')).toBe(0);
    expect(after.get('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  it('generations: outcome, tokens, time to the first token and speed, by model', async () => {
    const events = await (await fetch(`${mesh.url}/streams`, { method: 'POST', headers: { accept: 'text/event-stream' }, body: JSON.stringify({ prompt: 'Tell me a short story.' }) })).text();
    const tokens = Number(/"eval_count":(\d+)/.exec(events)?.[1]);
    await fetch(`${mesh.url}/streams`, { method: 'POST', body: JSON.stringify({ model: 'nobody/has-this', prompt: 'x' }) });
    const after = await read();
    const of = (name: string, labels = 'model="guide:latest"') => after.get(`${name}{${labels}}`) ?? NaN;
    expect(of('ollamesh_generations_total', 'model="guide:latest",outcome="stop",cache="bypass"')).toBeGreaterThan(0);
    expect(of('ollamesh_generations_total', 'model="",outcome="model_not_found",cache="bypass"')).toBe(1);
    expect(of('ollamesh_tokens_total', 'model="guide:latest",kind="generated"')).toBeGreaterThanOrEqual(tokens);
    expect(of('ollamesh_time_to_first_token_seconds_count')).toBe(of('ollamesh_generation_duration_seconds_count'));
    expect(of('ollamesh_time_to_first_token_seconds_sum')).toBeLessThan(of('ollamesh_generation_duration_seconds_sum'));
    expect(of('ollamesh_generation_tokens_per_second_sum')).toBeGreaterThan(0);
    expect(of('ollamesh_streams_waiting', 'for="queue"')).toBe(0);
  });

  it('requests: by method, route and status, so that no id makes a series of its own', async () => {
    await fetch(`${mesh.url}/streams/AAAAAAAAAAAAAAAAAAAAAA`);
    await fetch(`${mesh.url}/no/such/path`);
    const after = await read();
    expect(after.get('ollamesh_http_requests_total{method="GET",route="/streams/:id",status="404"}')).toBe(1);
    expect(after.get('ollamesh_http_requests_total{method="GET",route="none",status="404"}')).toBe(1);
    expect([...after.keys()].filter((name) => name.includes('AAAA'))).toEqual([]);
  });

  it('the mesh: engine, machine and bus', async () => {
    const after = await read();
    const find = (start: string, rest: string) => [...after].find(([name]) => name.startsWith(start) && name.includes(rest))?.[1];
    expect(find('ollamesh_engine_state', 'state="ready"')).toBe(1);
    expect(find('ollamesh_engine_state', 'state="failed"')).toBe(0);
    expect(find('ollamesh_engine_info', 'driver="embedded"')).toBe(1);
    expect(find('ollamesh_node_memory_bytes', 'node=')).toBeGreaterThan(0);
    expect(find('ollamesh_security_events_total', 'event="unauthorized"')).toBe(0);
  });

  it('names: are by the conventions, each with its help', async () => {
    const text = await (await fetch(`${mesh.url}/metrics`)).text();
    const types = [...text.matchAll(/^# TYPE (ollamesh_\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({ name, type }));
    expect(types.length).toBeGreaterThan(30);
    expect(types.filter(({ name, type }) => (type === 'counter') !== name.endsWith('_total'))).toEqual([]);
    expect(types.filter(({ name }) => !text.includes(`# HELP ${name} `))).toEqual([]);
  });
});

describe('metrics of an app that is a process of its own', () => {
  it('/metrics, /health and /ready at the port that was asked for', async () => {
    const server = await startBroker({ token: 'secret' });
    const dataDir = await temporaryFolder();
    const env = { OLLAMESH_METRICS_PORT: '0', OLLAMESH_BUS_TOKEN: 'secret' };
    const program = await startLone('model-manager', { natsUrl: server.url, dataDir, env });
    const url = /"metrics":"(http:[^"]+)"/.exec(`${program.stdout}${program.stderr}`)?.[1] ?? '';
    const text = await (await fetch(url)).text();
    expect(text).toContain('ollamesh_bus_reconnects_total 0');
    expect(text).toContain('process_resident_memory_bytes');
    const at = async (path: string) => (await fetch(new URL(path, url))).json();
    expect(await at('/health')).toEqual({ status: 'ok', app: 'model-manager', node: 'gpu1', bus: 'connected' });
    expect(await at('/ready')).toMatchObject({ ready: true, parts: { bus: { state: 'connected' } } });
    expect(await at('/nosuch')).toMatchObject({ error: { code: 'not_found' } });
    expect((await program.end('SIGTERM')).signal).toBeNull();
    await server.close();
    await rm(dataDir, { recursive: true });
  });
});
