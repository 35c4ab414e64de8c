/** What a container takes of its machine, out of Docker's statistics. Pure. */
import type { EngineUsage } from '#contracts';
import type Docker from 'dockerode';

export function usageOf({ cpu_stats: cpu, precpu_stats: before, memory_stats: memory, networks }: Docker.ContainerStats): EngineUsage {
  const used = cpu.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const all = cpu.system_cpu_usage - (before.system_cpu_usage ?? 0);
  const cpus = cpu.online_cpus || cpu.cpu_usage.percpu_usage?.length || 1;
  const sum = (field: 'rx_bytes' | 'tx_bytes'): number => Object.values(networks ?? {}).reduce((total, network) => total + network[field], 0);
  // Files that the kernel merely remembers are not needed: the docker command leaves them out likewise.
  const cache = memory.stats?.inactive_file ?? memory.stats?.total_inactive_file ?? 0;
  return {
    cpuPercent: all > 0 && used > 0 ? Math.round((used / all) * cpus * 100) : 0,
    memoryBytes: Math.max(0, (memory.usage ?? 0) - cache),
    ...(memory.limit && { memoryLimitBytes: memory.limit }),
    receivedBytes: sum('rx_bytes'),
    sentBytes: sum('tx_bytes'),
  };
}
