/** Whatever the grammar accepts stays inside the store; how error texts write it. */
import { join, sep } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type ModelNameParts, parseModelName } from '#contracts';
import { fullName, manifestParts } from './names.js';

function parsed(text: string): ModelNameParts {
  const name = parseModelName(text);
  if (name === undefined) throw new Error(`${text} should be valid`);
  return name;
}

describe('names', () => {
  it.each([
    ['guide', 'registry.ollama.ai/library/guide:latest'],
    ['jane/pirate:x', 'registry.ollama.ai/jane/pirate:x'],
    ['hf.co/org/model-GGUF:Q8_0', 'hf.co/org/model-GGUF:Q8_0'],
  ])('error texts: %s is %s', (text, full) => {
    expect(fullName(parsed(text))).toBe(full);
  });

  it('paths: a port’s colon is replaced where a path cannot hold it', () => {
    expect(manifestParts(parsed('127.0.0.1:5555/library/tiny'), true)).toEqual(['127.0.0.1%3A5555', 'library', 'tiny', 'latest']);
    expect(manifestParts(parsed('127.0.0.1:5555/library/tiny'), false)[0]).toBe('127.0.0.1:5555');
  });

  it('paths: whatever is accepted stays four folders below its root', () => {
    const part = fc.stringMatching(/^[a-zA-Z0-9_.\-:/\\%~ ]{0,12}$/);
    fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const name = parseModelName(parts.join('/'));
      if (name === undefined) return;
      const path = join('root', ...manifestParts(name));
      expect(path.split(sep)).toHaveLength(5);
      expect(path.startsWith(`root${sep}`)).toBe(true);
    }));
  });
});
