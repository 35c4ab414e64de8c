/** Broken bodies get the words of Go's decoder (recordings 10-, 13-, 30-); whole ones are read like JSON.parse does. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JsonError, decodeJson } from './go-json.js';

describe('go-json', () => {
  it.each([
    ['{"model":"tiny","messages":[', 'unexpected EOF'],
    ['hello', "invalid character 'h' looking for beginning of value"],
    ['{nope', "invalid character 'n' looking for beginning of object key string"],
    ['{"model": tiny}', "invalid character 'i' in literal true (expecting 'r')"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['{"a":', 'unexpected EOF'],
    ['"abc', 'unexpected EOF'],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['   ', 'EOF'],
  ])('error: %j', (text, message) => {
    expect(() => decodeJson(text)).toThrow(new JsonError(message));
  });

  it('trailing text: ignored, as a decoder of the first value does', () => {
    expect(decodeJson('{"a":[1,{"b":"\\u00e9"}]} and more')).toEqual({ a: [1, { b: 'é' }] });
    expect(decodeJson('[] []')).toEqual([]);
  });

  it('depth: absurd nesting is an error, not a crash', () => {
    expect(() => decodeJson(`${'['.repeat(100_000)}x`)).toThrow(JsonError);
  });

  it('cut anywhere: a prefix of valid JSON is a JsonError or a value, never another failure', () => {
    fc.assert(fc.property(fc.json(), fc.nat(), (json, at) => {
      expect(decodeJson(json)).toEqual(JSON.parse(json));
      try {
        decodeJson(json.slice(0, at % (json.length + 1)));
      } catch (error) {
        expect(error).toBeInstanceOf(JsonError);
      }
    }));
  });
});
