/** /metrics on a live mesh: what viewers just did is what it counts, in the text format that Prometheus reads. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';

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
});
