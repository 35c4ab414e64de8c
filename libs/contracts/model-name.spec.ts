/** The name grammar is what keeps store paths inside their folder and requests to one model from being two, so it is tried with names that want out. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ModelName, isSameModel, normaliseModelName, parseModelName } from './model-name.js';

describe('model name', () => {
  it.each([
    ['guide', 'guide:latest'],
    ['guide:latest', 'guide:latest'],
    ['llama3.2:1b-instruct-q4_K_M', 'llama3.2:1b-instruct-q4_K_M'],
    ['jane/pirate', 'jane/pirate:latest'],
    ['library/guide', 'guide:latest'],
    ['hf.co/org/model-GGUF:Q8_0', 'hf.co/org/model-GGUF:Q8_0'],
    ['127.0.0.1:5555/library/tiny', '127.0.0.1:5555/library/tiny:latest'],
    ['https://registry.ollama.ai/library/guide', 'guide:latest'],
    ['Registry.Ollama.AI/Library/guide', 'guide:latest'],
    ['TINY', 'TINY:latest'],
  ])('spelling: %s is %s', (text, spelled) => {
    expect(normaliseModelName(text)).toBe(spelled);
    expect(ModelName.parse(text)).toBe(spelled);
  });

  it.each([
    '', ' ', 'bad name!!', '..', '.', '../guide', 'a/../b', 'a/b/c/d', '/etc/passwd', 'guide:', ':latest', 'guide:../x', 'guide:a/b', 'a//b', 'a/b/',
    String.raw`a\b`, 'guide\0', 'guid\u00e9', 'guide:la:test', '.hidden', '-flag', 'con', 'nul.txt', 'guide.', 'x'.repeat(81), `guide:${'x'.repeat(81)}`,
    '%2e%2e', 'a/b.c/d', 'guide:latest\n', 'tiny>*', 'a:b/c/d:e:f',
  ])('refused: %j', (text) => {
    expect(normaliseModelName(text)).toBeUndefined();
    expect(ModelName.safeParse(text).success).toBe(false);
  });

  it.each([
    ['a/b/c/d', 'more than three parts'],
    ['guide:', 'an empty tag'],
    ['a//b', 'an empty namespace'],
    ['../guide', 'namespace ".."'],
    ['.hidden', 'does not begin with a letter'],
    ['guide:la:test', 'tag "la:test", which may hold'],
    ['nul.txt', "a device's name on Windows"],
    ['guide:\u001b[2J', String.raw`tag "\u001b[2J"`],
    ['x'.repeat(81), 'more than 80 characters'],
    ['x'.repeat(513), 'longer than 512 characters'],
  ])('refused: %j is told why', (text, reason) => {
    expect(ModelName.safeParse(text).error?.issues[0]?.message).toContain(reason);
  });

  const name = fc.array(fc.stringMatching(/^[a-zA-Z0-9_.\-:/\\%~ ]{0,12}$/), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

  it('spelling: the one spelling is its own spelling', () => {
    fc.assert(fc.property(name, (text) => {
      const spelled = normaliseModelName(text);
      if (spelled !== undefined) expect(normaliseModelName(spelled)).toBe(spelled);
    }), { numRuns: 5_000 });
  });

  it('spelling: it means the same parts', () => {
    fc.assert(fc.property(name, (text) => {
      const parts = parseModelName(text);
      const again = parts && parseModelName(normaliseModelName(text) ?? '');
      expect(JSON.stringify(again)?.toLowerCase()).toBe(JSON.stringify(parts)?.toLowerCase());
    }), { numRuns: 5_000 });
  });

  it('case: TINY is tiny, as it is to Ollama', () => {
    expect(isSameModel('TINY:latest', 'tiny:Latest')).toBe(true);
    expect(isSameModel('tiny:latest', 'tiny:other')).toBe(false);
  });
});
