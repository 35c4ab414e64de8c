import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Marked } from 'marked';
import { finishedPart } from './finished-part.js';

const markdown = new Marked({ gfm: true, breaks: true });
const BLOCKS = [
  'text', '#', '#tag', '# heading', '- item', '- ', '  more of it', '1. one', '2. two', '***', '***bold***', '---', '===', '> quote', '```js', '```', 'const a = 1;',
  '| a | b |', '|---|---|', '|---|---|x', '| 1 | 2 |', '<div>', '</div>', '    indented', '', '', '', '* [ ] task', '[name]: https://example.org', 'see [name]', '~~~',
];

/** The blocks that a view has which finishes what can be finished after every piece. */
function blocksOf(pieces: readonly string[]): string[] {
  const blocks: string[] = [];
  let text = '';
  let start = 0;
  let rest: string[] = [];
  for (const piece of pieces) {
    text += piece;
    const tokens = markdown.lexer(text.slice(start));
    const { length, blocks: count } = finishedPart(tokens);
    const shown = tokens.filter(({ type }) => type !== 'space');
    blocks.push(...shown.slice(0, count).map(({ type }) => type));
    rest = shown.slice(count).map(({ type }) => type);
    start += length;
  }
  return [...blocks, ...rest];
}

describe('finished part', () => {
  it('growing: however the text comes in pieces, the blocks are those of the whole text', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...BLOCKS), { maxLength: 12 }), fc.integer({ min: 1, max: 9 }), (lines, size) => {
        const text = lines.join('\n');
        const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
        const whole = markdown.lexer(text).filter(({ type }) => type !== 'space').map(({ type }) => type);
        expect(blocksOf(pieces)).toEqual(whole);
      }),
      { numRuns: 2_000 },
    );
  });

  it('growing: everything but the last block of a long text is finished', () => {
    const text = Array.from({ length: 200 }, (_, index) => `Paragraph ${index}.`).join('\n\n');
    expect(finishedPart(markdown.lexer(text))).toEqual({ length: text.lastIndexOf('\n\nParagraph 199') - 'Paragraph 198.'.length, blocks: 198 });
  });
});
