/** Options: later layers win, wrong types are refused with Ollama's words. */
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_OPTIONS, OptionError, mergeOptions } from './options.js';

describe('options', () => {
  it('defaults: Ollama\'s where nothing is given', () => {
    expect(mergeOptions({}, {})).toEqual(DEFAULT_OPTIONS);
    expect(DEFAULT_OPTIONS.temperature).toBe(0.8);
  });

  it('layers: the request over the model over the defaults, null as absent', () => {
    const merged = mergeOptions({ temperature: 0, stop: ['<end>'], top_k: 5 }, { top_k: 7, temperature: null, seed: 3.9, unknown: 'x' });
    expect(merged).toMatchObject({ temperature: 0, stop: ['<end>'], top_k: 7, seed: 3 });
    expect(merged).not.toHaveProperty('unknown');
  });

  it.each([
    [{ num_predict: 'ten' }, 'option "num_predict" must be of type integer'],
    [{ temperature: '0' }, 'option "temperature" must be of type float32'],
    [{ stop: 'x' }, 'option "stop" must be of type array'],
    [{ stop: [1] }, 'option "stop" must be of an array of strings'],
  ])('wrong type: %j', (options, message) => {
    expect(() => mergeOptions(options)).toThrow(new OptionError(message));
  });
});
