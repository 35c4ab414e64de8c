/** CPU, memory and network of a container, as "docker stats" would show them. */
import { describe, expect, it } from '@jest/globals';
import type Docker from 'dockerode';
import { usageOf } from './usage.js';

const cpu = (total: number, system: number) => ({ cpu_usage: { total_usage: total }, system_cpu_usage: system, online_cpus: 2 });

describe('usage', () => {
  it('usage: processors in use, memory without cached files, bytes of all networks', () => {
    const stats = {
      cpu_stats: cpu(3e9, 10e9),
      precpu_stats: cpu(2e9, 8e9),
      memory_stats: { usage: 500, limit: 2_000, stats: { inactive_file: 100 } },
      networks: { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 10, tx_bytes: 20 } },
    };
    expect(usageOf(stats as unknown as Docker.ContainerStats)).toEqual({ cpuPercent: 100, memoryBytes: 400, memoryLimitBytes: 2_000, receivedBytes: 11, sentBytes: 22 });
  });

  it('usage: of a container that has just ended nothing is known, and nothing is made up', () => {
    const stats = { cpu_stats: { cpu_usage: { total_usage: 0 } }, precpu_stats: { cpu_usage: { total_usage: 0 } }, memory_stats: {} };
    expect(usageOf(stats as unknown as Docker.ContainerStats)).toEqual({ cpuPercent: 0, memoryBytes: 0, receivedBytes: 0, sentBytes: 0 });
  });
});
