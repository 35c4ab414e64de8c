/** What others see of the configuration, and what a change of it touches. */
import { describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput } from '#config';
import { changesBetween, wishOf } from './wish.js';

const wanted = (input: ConfigInput = {}) => Config.parse(input);

describe('wish', () => {
  it('wish: the engine and models that are asked for, without values of the environment', () => {
    const wish = wishOf(wanted({ engine: { driver: 'docker', env: { HTTPS_PROXY: 'http://u:secret@proxy' }, limits: { memory: '8g' }, gpu: { devices: ['0'] } }, models: { required: ['small'] } }));
    expect(wish).toMatchObject({ driver: 'docker', env: ['HTTPS_PROXY'], memoryBytes: 8 * 1024 ** 3, gpu: 'auto (0)', models: ['small:latest'] });
    expect(JSON.stringify(wish)).not.toContain('secret');
  });
});

describe('changes', () => {
  it.each<[string, ConfigInput, string[], boolean]>([
    ['nothing', {}, [], false],
    ['a model', { models: { required: ['small'] } }, [], true],
    ['the image', { engine: { image: 'ollama/ollama:0.12' } }, ['engine.image'], false],
    ['GPU policy and port', { engine: { gpu: { use: 'off' }, port: 11_500 } }, ['engine.port', 'engine.gpu'], false],
    ['the environment', { engine: { env: { OLLAMA_DEBUG: '1' } } }, ['engine.env'], false],
    ['a limit', { engine: { limits: { cpus: 1 } } }, ['engine.limits'], false],
    ['a driver', { engine: { driver: 'embedded' } }, ['engine.driver'], false],
    ['what takes effect by itself', { engine: { keepRunning: true, startTimeoutMs: 1 } }, [], false],
  ])('changes: %s', (_what, input, engine, models) => {
    const { engine: changed, models: modelsChanged } = changesBetween(wanted(), wanted(input), false);
    expect([changed.toSorted(), modelsChanged]).toEqual([engine.toSorted(), models]);
  });

  it('changes: of an engine that is only attached to, where it is alone matters', () => {
    expect(changesBetween(wanted(), wanted({ engine: { image: 'other' } }), true).engine).toEqual([]);
    expect(changesBetween(wanted(), wanted({ engine: { url: 'http://127.0.0.1:1' } }), true).engine).toEqual(['engine.url']);
  });
});
