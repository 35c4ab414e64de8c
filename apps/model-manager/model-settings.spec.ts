/** One model, one context length: whatever clients ask for, in whatever order, the engine need not load it in turns. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Config } from '#config';
import { ContextLengths, settingsOf, withSettings } from './model-settings.js';

describe('context length', () => {
  it('two clients with different wishes: both get the larger, from its first request on', () => {
    const contexts = new ContextLengths();
    expect([2_048, 8_192, 2_048, 8_192, undefined].map((asked) => contexts.settle('m', asked, {}))).toEqual([2_048, 8_192, 8_192, 8_192, 8_192]);
  });

  it('nobody asks: the engine’s own, and once it is known that stays', () => {
    const contexts = new ContextLengths();
    expect(contexts.settle('m', undefined, {})).toBeUndefined();
    expect(contexts.settle('m', 2_000, { resident: 4_096 })).toBe(4_096);
  });

  it('configured: that, whatever is asked', () => {
    expect(new ContextLengths().settle('m', 100_000, { configured: 8_192, resident: 4_096 })).toBe(8_192);
  });

  it('any number of clients with any wishes: the engine loads it anew as often as the length doubles, at most', () => {
    fc.assert(fc.property(fc.array(fc.option(fc.integer({ min: 1, max: 131_072 }), { nil: undefined })), (wishes) => {
      const contexts = new ContextLengths();
      let [resident, loads] = [undefined as number | undefined, 0];
      for (const asked of wishes) {
        const length = contexts.settle('m', asked, { resident });
        if (asked !== undefined) expect(length).toBeGreaterThanOrEqual(asked);
        if (length !== undefined && length !== resident) loads++;
        resident = length ?? resident;
      }
      expect(loads).toBeLessThanOrEqual(18);
    }));
  });
});

describe('settings of a model', () => {
  const { models } = Config.parse({ models: { settings: { Phi3: { keepAlive: '1h', contextLength: 8_192, parameters: { temperature: 0.2, top_k: 10 } } } } });

  it('name: phi3 and PHI3:latest are one model', () => {
    expect(settingsOf(models, 'PHI3:latest').contextLength).toBe(8_192);
    expect(settingsOf(models, 'phi3:mini')).toEqual({});
  });

  it('request: what it sets stays, what it leaves open is filled in', () => {
    expect(withSettings({ model: 'm', options: { temperature: 1, num_ctx: 2_048 } }, settingsOf(models, 'phi3:latest'), 8_192)).toEqual({
      model: 'm', options: { temperature: 1, top_k: 10, num_ctx: 8_192 }, keep_alive: '1h',
    });
    expect(withSettings({ model: 'm', keep_alive: 0 }, settingsOf(models, 'phi3:latest'), undefined)).toMatchObject({ keep_alive: 0 });
    expect(withSettings({ model: 'm' }, {}, undefined)).toEqual({ model: 'm' });
  });
});
