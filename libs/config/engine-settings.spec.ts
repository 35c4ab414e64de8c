/** Settings of the engine that reach Docker or a program's environment: nonsense is refused with its field and reason, before anything starts. */
import { describe, expect, it } from '@jest/globals';
import { loadConfig } from './index.js';
import { Config, type ConfigInput } from './schema.js';

type EngineInput = NonNullable<ConfigInput['engine']>;

/** "engine.field: reason" of each problem. */
function problemsOf(engine: unknown): string[] {
  const { error } = Config.safeParse({ engine });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('engine settings', () => {
  it.each<[string, string, unknown]>([
    ['image', 'upper case in a name', 'Ollama/Ollama'],
    ['image', 'an option', '--privileged'],
    ['image', 'a shell', 'ollama;rm -rf /'],
    ['image', 'a space', 'ollama ollama'],
    ['image', 'an empty tag', 'ollama/ollama:'],
    ['image', 'a short digest', 'ollama@sha256:00ff'],
    ['image', 'a path', '../ollama'],
    ['image', 'a URL', 'https://example.org/ollama'],
    ['image', 'nothing', ''],
    ['port', 'too large', 65_536],
    ['port', 'negative', -1],
    ['port', 'a fraction', 1.5],
    ['volume', 'a path', '/var/lib'],
    ['volume', 'an option', '-v'],
    ['folder', 'relative', 'models'],
    ['folder', 'a null byte', '/srv/\0'],
    ['limits.memory', 'no size', 'lots'],
    ['limits.memory', 'too small', '1m'],
    ['limits.memory', 'negative', -5],
    ['limits.memory', 'beyond all numbers', '99999999999t'],
    ['limits.cpus', 'none', 0],
    ['limits.cpus', 'not a number', 'two'],
    ['gpu.use', 'unknown', 'always'],
    ['gpu.devices.0', 'a path', '/dev/nvidia0'],
    ['gpu.devices.0', 'a list in a text', '0,1'],
    ['env.A=B', 'a name with =', { 'A=B': 'x' }],
    ['env.OLLAMA_HOST', 'one that ollamesh sets', { OLLAMA_HOST: '0.0.0.0' }],
    ['env.1A', 'a name that starts with a digit', { '1A': 'x' }],
    ['env.A', 'two lines', { A: 'x\nB=y' }],
    ['env.A', 'no text', { A: 1 }],
  ])('refused: %s, %s', (path, _why, value) => {
    const [section = '', key] = path.split('.');
    const engine = section === 'env' ? { env: value } : key === undefined ? { [section]: value } : { [section]: { [key]: key === 'devices' ? [value] : value } };
    const problems = problemsOf(engine);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^engine\\.${path.replace(/[.=]/g, '\\$&')}: .{5,}`));
  });

  it.each<[EngineInput]>([
    [{ image: 'ollama/ollama' }],
    [{ image: 'ollama/ollama:0.12.3-rocm' }],
    [{ image: 'registry.example.org:5000/team/my_engine:v1' }],
    [{ image: 'localhost:5000/engine' }],
    [{ image: `ollama/ollama:latest@sha256:${'0'.repeat(64)}` }],
    [{ env: { HTTPS_PROXY: 'http://proxy:3128', OLLAMA_DEBUG: '1' } }],
    [{ gpu: { devices: ['0', 'GPU-452cac9f-6960-839c-4fb3-0cec83699196'] } }],
    [{ folder: '/srv/models' }],
    [{ folder: 'D:\\models' }],
  ])('taken: %j', (engine) => {
    expect(problemsOf(engine)).toEqual([]);
  });

  it.each([
    ['8g', 8 * 1024 ** 3],
    ['1.5 GiB', 1.5 * 1024 ** 3],
    ['512m', 512 * 1024 ** 2],
    [268_435_456, 268_435_456],
    ['268435456', 268_435_456],
  ])('memory: %j is %d bytes', (memory, bytes) => {
    expect(Config.parse({ engine: { limits: { memory } } }).engine.limits.memory).toBe(bytes);
  });

  it('variables: each has one, structures as JSON, and what is wrong names the variable', async () => {
    const env = { OLLAMESH_ENGINE_ENV: '{"OLLAMA_DEBUG":"1"}', OLLAMESH_ENGINE_GPU_USE: 'off', OLLAMESH_ENGINE_LIMITS_MEMORY: '8g', OLLAMESH_ENGINE_KEEP_RUNNING: 'true', OLLAMESH_ENGINE_GPU_DEVICES: '0,1' };
    const { config } = await loadConfig({ cwd: '/', env });
    expect(config.engine).toMatchObject({ env: { OLLAMA_DEBUG: '1' }, gpu: { use: 'off', devices: ['0', '1'] }, limits: { memory: 8 * 1024 ** 3 }, keepRunning: true });
    await expect(loadConfig({ cwd: '/', env: { OLLAMESH_ENGINE_LIMITS_MEMORY: 'lots' } })).rejects.toThrow(/engine\.limits\.memory is not a size .*OLLAMESH_ENGINE_LIMITS_MEMORY/);
  });
});
