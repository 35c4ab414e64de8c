/** What makes two engine containers the same, and what a container may never do. */
import { describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput } from '#config';
import { planContainer, referenceOf } from './container.js';

function plan(engine: ConfigInput['engine'] = {}, node = 'desk') {
  return planContainer(Config.parse({ engine }).engine, node);
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
  ])('hash: another %s is another container', (_, engine) => {
    expect(plan(engine).hash).not.toBe(plan().hash);
  });

  it('hash: devices make another container, a longer start time-out does not', () => {
    const { engine } = Config.parse({});
    expect(planContainer(engine, 'desk', { DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] }).hash).not.toBe(plan().hash);
    expect(plan({ startTimeoutMs: 1 }).hash).toBe(plan().hash);
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
