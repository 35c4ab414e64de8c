/** What the gateway hears of other nodes, as Prometheus reads it. */
import { describe, expect, it } from '@jest/globals';
import type { Bus } from '#bus';
import { Config, RoutingTable } from '#config';
import type { Engine, Hardware, PullProgress } from '#contracts';
import { AppMetrics } from '#runtime';
import { MeshView } from '../mesh-view.js';
import { MeshMetrics } from './mesh-metrics.js';

const HARDWARE: Hardware = {
  node: 'gpu1',
  sampledAt: '2026-11-21T00:00:00.000Z',
  os: { platform: 'linux', distribution: 'Debian GNU/Linux', release: '12', arch: 'x64' },
  cpu: { brand: 'EPYC', cores: 16, physicalCores: 8, loadPercent: 25 },
  memory: { totalBytes: 64e9, availableBytes: 48e9 },
  gpus: [{ index: 0, vendor: 'nvidia', name: 'NVIDIA H100 80GB HBM3', vramTotalBytes: 80e9, vramUsedBytes: 20e9, utilizationPercent: 50, temperatureCelsius: 41 }, { index: 1, vendor: 'amd', name: 'unknown' }],
  findings: [],
  warnings: [],
};
const ENGINE: Engine = { node: 'gpu1', state: 'ready', reason: 'It answers.', since: '2026-11-21T00:00:00.000Z', driver: 'docker', version: '0.13.0', choices: [], models: [{ model: 'm', state: 'present' }] };
const PULL: PullProgress = { node: 'gpu1', model: 'llama3.2:latest', status: 'pulling', phase: 'downloading', attempt: 1, percent: 10, step: 'pulling', completedBytes: 10, totalBytes: 100, bytesPerSecond: 5 };

describe('mesh metrics', () => {
  function open() {
    const metrics = new AppMetrics({ stats: { invalidMessages: 0, failedHandlers: 0, reconnects: 0, served: {} } });
    const mesh = new MeshView({} as Bus, new RoutingTable(Config.parse({}), undefined));
    new MeshMetrics(metrics, mesh);
    const read = async () => (await metrics.text()).split('\n').filter((line) => /^ollamesh_(engine|pull|gpu|node)/.test(line));
    return { mesh, read };
  }

  it('GPUs and machines: in bytes, ratios and degrees; what a GPU does not tell has no sample', async () => {
    const { mesh, read } = open();
    mesh.take({ event: 'hardware', data: HARDWARE });
    const lines = await read();
    const gpu = 'node="gpu1",gpu="0",name="NVIDIA H100 80GB HBM3"';
    expect(lines).toEqual(expect.arrayContaining([
      `ollamesh_gpu_memory_bytes{${gpu}} 80000000000`,
      `ollamesh_gpu_memory_used_bytes{${gpu}} 20000000000`,
      `ollamesh_gpu_utilization_ratio{${gpu}} 0.5`,
      `ollamesh_gpu_temperature_celsius{${gpu}} 41`,
      'ollamesh_node_memory_available_bytes{node="gpu1"} 48000000000',
      'ollamesh_node_cpu_load_ratio{node="gpu1"} 0.25',
    ]));
    expect(lines.filter((line) => line.includes('gpu="1"'))).toEqual([]);
  });

  it('engines: one state is 1, and how often it came into each', async () => {
    const { mesh, read } = open();
    for (const state of ['ready', 'ready', 'restarting', 'ready'] as const) mesh.take({ event: 'engine', data: { ...ENGINE, state } });
    const lines = await read();
    expect(lines.filter((line) => line.startsWith('ollamesh_engine_state') && line.endsWith(' 1'))).toEqual(['ollamesh_engine_state{node="gpu1",state="ready"} 1']);
    expect(lines).toEqual(expect.arrayContaining([
      'ollamesh_engine_transitions_total{node="gpu1",state="ready"} 2',
      'ollamesh_engine_transitions_total{node="gpu1",state="restarting"} 1',
      'ollamesh_engine_info{node="gpu1",driver="docker",version="0.13.0"} 1',
      'ollamesh_engine_models{node="gpu1",state="present"} 1',
    ]));
  });

  it('an engine in a container: what it takes; one that does not tell has no sample', async () => {
    const { mesh, read } = open();
    const taken = async () => (await read()).filter((line) => /^ollamesh_engine_(cpu|memory|network)/.test(line));
    mesh.take({ event: 'engine', data: ENGINE });
    expect(await taken()).toEqual([]);
    mesh.take({ event: 'engine', data: { ...ENGINE, usage: { cpuPercent: 250, memoryBytes: 3e9, receivedBytes: 10, sentBytes: 20 } } });
    expect(await taken()).toEqual([
      'ollamesh_engine_cpu_cores{node="gpu1"} 2.5',
      'ollamesh_engine_memory_bytes{node="gpu1"} 3000000000',
      'ollamesh_engine_network_received_bytes_total{node="gpu1"} 10',
      'ollamesh_engine_network_sent_bytes_total{node="gpu1"} 20',
    ]);
  });

  it('pulls: how far they are while they go on, and how they ended', async () => {
    const { mesh, read } = open();
    mesh.take({ event: 'pull', data: PULL });
    expect(await read()).toEqual(expect.arrayContaining([
      'ollamesh_pull_completed_bytes{node="gpu1",model="llama3.2:latest"} 10',
      'ollamesh_pull_total_bytes{node="gpu1",model="llama3.2:latest"} 100',
      'ollamesh_pull_bytes_per_second{node="gpu1",model="llama3.2:latest"} 5',
    ]));
    mesh.take({ event: 'pull', data: { ...PULL, status: 'success' } });
    const lines = await read();
    expect(lines).toContain('ollamesh_pulls_total{node="gpu1",outcome="success"} 1');
    expect(lines.filter((line) => line.includes('llama3.2'))).toEqual([]);
  });
});
