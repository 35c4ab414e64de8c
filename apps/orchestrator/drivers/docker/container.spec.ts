/** What makes two engine containers the same, and what a container may never do. */
import { describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput } from '#config';
import { type ContainerPlan, planContainers, referenceOf } from './container.js';
import type { DeviceAccess } from '#contracts';

function plan(engine: ConfigInput['engine'] = {}, node = 'desk', access: DeviceAccess = {}, imageVariant: '' | 'rocm' = ''): ContainerPlan {
  const [only] = planContainers(Config.parse({ engine }).engine, node, [{ way: 'cpu', reason: 'No GPU.', imageVariant, access, gpus: [] }]);
  if (!only) throw new Error('There is a plan for each candidate.');
  return only;
}

describe('container', () => {
  it('container: it is published on loopback only, whatever the port', () => {
    for (const port of [0, 11_500]) {
      expect(plan().options(port).HostConfig?.PortBindings).toEqual({ '11434/tcp': [{ HostIp: '127.0.0.1', HostPort: port === 0 ? '' : '11500' }] });
    }
  });

  it('container: the models live in the named volume and are never pruned', () => {
    const { HostConfig, Env } = plan({ volume: 'shelf', keepAlive: -1, parallel: 2 }).options(0);
    expect(HostConfig?.Mounts).toEqual([{ Type: 'volume', Source: 'shelf', Target: '/root/.ollama' }]);
    expect(Env).toEqual(['OLLAMA_HOST=0.0.0.0:11434', 'OLLAMA_NOPRUNE=1', 'OLLAMA_NUM_PARALLEL=2', 'OLLAMA_KEEP_ALIVE=-1']);
  });

  it('container: it carries its node and its hash', () => {
    const { name, hash, options } = plan({}, 'rack-1');
    expect(name).toBe('ollamesh-engine-rack-1');
    expect(options(0)).toMatchObject({ name, Labels: { 'dev.ollamesh.node': 'rack-1', 'dev.ollamesh.config-hash': hash } });
  });

  it.each<[string, ConfigInput['engine']]>([
    ['image', { image: 'ollama/ollama:rocm' }],
    ['port', { port: 11_500 }],
    ['volume', { volume: 'shelf' }],
    ['parallel', { parallel: 1 }],
    ['keepAlive', { keepAlive: '1h' }],
    ['environment', { env: { OLLAMA_DEBUG: '1' } }],
    ['memory limit', { limits: { memory: '8g' } }],
    ['CPU limit', { limits: { cpus: 1.5 } }],
    ['folder', { folder: '/srv/models' }],
  ])('hash: another %s is another container', (_, engine) => {
    expect(plan(engine).hash).not.toBe(plan().hash);
  });

  it('hash: devices make another container, a longer start time-out does not', () => {
    expect(plan({}, 'desk', { DeviceRequests: [{ Driver: '', Count: -1, Capabilities: [['gpu']] }] }).hash).not.toBe(plan().hash);
    expect(plan({ startTimeoutMs: 1, keepRunning: true }).hash).toBe(plan().hash);
  });

  it('container: environment, limits and folder of the configuration, devices and image of the candidate', () => {
    const access: DeviceAccess = { Devices: [{ PathOnHost: '/dev/kfd', PathInContainer: '/dev/kfd', CgroupPermissions: 'rwm' }], GroupAdd: ['110'], env: ['HSA_OVERRIDE_GFX_VERSION=11.0.0'] };
    const { image, options } = plan({ env: { OLLAMA_DEBUG: '1' }, limits: { memory: '2GiB', cpus: 1.5 }, folder: '/srv/models' }, 'desk', access, 'rocm');
    const { Env, HostConfig } = options(0);
    expect(image).toBe('ollama/ollama:rocm');
    expect(Env).toEqual(expect.arrayContaining(['HSA_OVERRIDE_GFX_VERSION=11.0.0', 'OLLAMA_DEBUG=1']));
    expect(HostConfig).toMatchObject({
      Devices: access.Devices,
      GroupAdd: ['110'],
      Memory: 2 * 1024 ** 3,
      MemorySwap: 2 * 1024 ** 3,
      NanoCpus: 1.5e9,
      Mounts: [{ Type: 'bind', Source: '/srv/models', Target: '/root/.ollama' }],
    });
  });

  it.each([
    ['ollama/ollama', 'ollama/ollama:latest'],
    ['ollama/ollama:0.12', 'ollama/ollama:0.12'],
    ['host:5000/ollama', 'host:5000/ollama:latest'],
    ['ollama@sha256:00ff', 'ollama@sha256:00ff'],
  ])('image: %s means %s', (image, reference) => {
    expect(referenceOf(image)).toBe(reference);
  });
});
