/** What the gateway hears of the mesh, as metrics: engines, pulls, machines and their GPUs, each by its node. */
import { Injectable } from '@nestjs/common';
import { EngineStateName, type EngineUsage, type Gpu, type Hardware, type PullProgress } from '#contracts';
import { AppMetrics, type Sample } from '#runtime';
import { type MeshNews, MeshView } from '../mesh-view.js';

/** Pulls remembered at most, those that go on. */
const MAX_PULLS = 1_000;

@Injectable()
export class MeshMetrics {
  readonly #pulls = new Map<string, PullProgress>();

  constructor(metrics: AppMetrics, mesh: MeshView) {
    const states = new Map<string, string>();
    const transitions = metrics.counting('ollamesh_engine_transitions_total', 'Times that a node\'s engine came into a state.', ['node', 'state']);
    const pulls = metrics.counting('ollamesh_pulls_total', 'Pulls that ended, by how.', ['node', 'outcome']);
    mesh.overhear((news) => {
      if (news.event === 'engine' && states.get(news.data.node) !== news.data.state) {
        states.set(news.data.node, news.data.state);
        transitions.inc({ node: news.data.node, state: news.data.state });
      }
      if (news.event !== 'pull') return;
      if (news.data.status !== 'pulling') pulls.inc({ node: news.data.node, outcome: news.data.status });
      this.#take(news.data);
    });

    const engines = () => mesh.latest().flatMap((news) => (news.event === 'engine' ? [news.data] : []));
    metrics.gauge('ollamesh_engine_state', '1 for the state that a node\'s engine is in, 0 for the others.', ['node', 'state'], () =>
      engines().flatMap(({ node, state }) => EngineStateName.options.map((name): Sample => [{ node, state: name }, name === state ? 1 : 0])),
    );
    metrics.gauge('ollamesh_engine_info', 'A node\'s engine: its driver and version.', ['node', 'driver', 'version'], () =>
      engines().map(({ node, driver = '', version = '' }): Sample => [{ node, driver, version }, 1]),
    );
    metrics.gauge('ollamesh_engine_models', 'The configured models of a node, by how far each is.', ['node', 'state'], () =>
      engines().flatMap(({ node, models }) => ['waiting', 'pulling', 'present', 'failed'].map((state): Sample => [{ node, state }, models.filter((model) => model.state === state).length])),
    );

    const ofUsage = (read: (usage: EngineUsage) => number | undefined) => () =>
      engines().flatMap(({ node, usage }): Sample[] => {
        const value = usage && read(usage);
        return value === undefined ? [] : [[{ node }, value]];
      });
    metrics.gauge('ollamesh_engine_cpu_cores', 'Processors that a node\'s engine keeps busy, where its driver can tell (its container\'s statistics).', ['node'], ofUsage(({ cpuPercent }) => cpuPercent / 100));
    metrics.gauge('ollamesh_engine_memory_bytes', 'Memory that a node\'s engine takes, caches left out.', ['node'], ofUsage(({ memoryBytes }) => memoryBytes));
    metrics.gauge('ollamesh_engine_memory_limit_bytes', 'Memory that a node\'s engine may take.', ['node'], ofUsage(({ memoryLimitBytes }) => memoryLimitBytes));
    metrics.counter('ollamesh_engine_network_received_bytes_total', 'What a node\'s engine has received since its container started.', ['node'], ofUsage(({ receivedBytes }) => receivedBytes));
    metrics.counter('ollamesh_engine_network_sent_bytes_total', 'What a node\'s engine has sent since its container started.', ['node'], ofUsage(({ sentBytes }) => sentBytes));

    const ofPulls = (read: (progress: PullProgress) => number) => () => [...this.#pulls.values()].map((progress): Sample => [{ node: progress.node, model: progress.model }, read(progress)]);
    metrics.gauge('ollamesh_pull_completed_bytes', 'Of a pull that goes on: what is here.', ['node', 'model'], ofPulls(({ completedBytes }) => completedBytes));
    metrics.gauge('ollamesh_pull_total_bytes', 'Of a pull that goes on: what there is, as far as it is known.', ['node', 'model'], ofPulls(({ totalBytes }) => totalBytes));
    metrics.gauge('ollamesh_pull_bytes_per_second', 'Of a pull that goes on: its speed.', ['node', 'model'], ofPulls(({ bytesPerSecond }) => bytesPerSecond));

    const machines = () => mesh.latest().flatMap((news: MeshNews) => (news.event === 'hardware' ? [news.data] : []));
    const ofMachines = (read: (hardware: Hardware) => number) => () => machines().map((hardware): Sample => [{ node: hardware.node }, read(hardware)]);
    metrics.gauge('ollamesh_node_memory_bytes', 'Memory of a node.', ['node'], ofMachines(({ memory }) => memory.totalBytes));
    metrics.gauge('ollamesh_node_memory_available_bytes', 'Memory of a node that is free to use.', ['node'], ofMachines(({ memory }) => memory.availableBytes));
    metrics.gauge('ollamesh_node_cpu_load_ratio', 'Load of a node\'s processors, 0 to 1.', ['node'], ofMachines(({ cpu }) => cpu.loadPercent / 100));
    const ofGpus = (read: (gpu: Gpu) => number | undefined) => () =>
      machines().flatMap(({ node, gpus }) =>
        gpus.flatMap((gpu): Sample[] => {
          const value = read(gpu);
          return value === undefined ? [] : [[{ node, gpu: String(gpu.index), name: gpu.name }, value]];
        }),
      );
    const labels = ['node', 'gpu', 'name'];
    metrics.gauge('ollamesh_gpu_memory_bytes', 'Memory of a GPU.', labels, ofGpus(({ vramTotalBytes }) => vramTotalBytes));
    metrics.gauge('ollamesh_gpu_memory_used_bytes', 'Memory of a GPU that is in use.', labels, ofGpus(({ vramUsedBytes }) => vramUsedBytes));
    metrics.gauge('ollamesh_gpu_utilization_ratio', 'How busy a GPU is, 0 to 1.', labels, ofGpus(({ utilizationPercent }) => (utilizationPercent === undefined ? undefined : utilizationPercent / 100)));
    metrics.gauge('ollamesh_gpu_temperature_celsius', 'Temperature of a GPU.', labels, ofGpus(({ temperatureCelsius }) => temperatureCelsius));
  }

  #take(progress: PullProgress): void {
    const name = `${progress.node} ${progress.model}`;
    if (progress.status !== 'pulling') this.#pulls.delete(name);
    else if (this.#pulls.size < MAX_PULLS || this.#pulls.has(name)) this.#pulls.set(name, progress);
  }
}
