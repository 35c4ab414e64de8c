/** The name grammar is what keeps the store's paths inside its folder, so it is tried with names that want out. */
import { join, sep } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fullName, manifestParts, parseName, sameName, shortName } from './names.js';

function parsed(text: string) {
  const name = parseName(text);
  if (name === undefined) throw new Error(`${text} should be valid`);
  return name;
}

describe('names', () => {
  it.each([
    ['guide', 'guide:latest', 'registry.ollama.ai/library/guide:latest'],
    ['guide:latest', 'guide:latest', 'registry.ollama.ai/library/guide:latest'],
    ['llama3.2:1b-instruct-q4_K_M', 'llama3.2:1b-instruct-q4_K_M', 'registry.ollama.ai/library/llama3.2:1b-instruct-q4_K_M'],
    ['jane/pirate', 'jane/pirate:latest', 'registry.ollama.ai/jane/pirate:latest'],
    ['hf.co/org/model-GGUF:Q8_0', 'hf.co/org/model-GGUF:Q8_0', 'hf.co/org/model-GGUF:Q8_0'],
    ['127.0.0.1:5555/library/tiny', '127.0.0.1:5555/library/tiny:latest', '127.0.0.1:5555/library/tiny:latest'],
    ['https://registry.ollama.ai/library/guide', 'guide:latest', 'registry.ollama.ai/library/guide:latest'],
  ])('defaults: %s is %s', (text, short, full) => {
    expect(shortName(parsed(text))).toBe(short);
    expect(fullName(parsed(text))).toBe(full);
  });

  it.each([
    '', ' ', 'bad name!!', '..', '.', '../guide', 'a/../b', 'a/b/c/d', '/etc/passwd', 'guide:', ':latest', 'guide:../x', 'guide:a/b', 'a//b', 'a/b/',
    String.raw`a\b`, 'guide\0', 'guid\u00e9', 'guide:la:test', '.hidden', '-flag', 'con', 'nul.txt', 'x'.repeat(81), `guide:${'x'.repeat(81)}`, '%2e%2e', 'a/b.c/d',
  ])('refused: %j', (text) => {
    expect(parseName(text)).toBeUndefined();
  });

  it('case: compared without it', () => {
    expect(sameName(parsed('GUIDE'), parsed('guide:Latest'))).toBe(true);
    expect(sameName(parsed('guide'), parsed('guide:other'))).toBe(false);
  });

  it('paths: whatever is accepted stays four folders below its root', () => {
    const part = fc.stringMatching(/^[a-zA-Z0-9_.\-:/\\%~ ]{0,12}$/);
    fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const name = parseName(parts.join('/'));
      if (name === undefined) return;
      const path = join('root', ...manifestParts(name));
      expect(path.split(sep)).toHaveLength(5);
      expect(path.startsWith(`root${sep}`)).toBe(true);
    }));
  });
});
