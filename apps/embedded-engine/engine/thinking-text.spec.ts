/** What the model thought and what it says, however the tags fall on the pieces. */
import { describe, expect, it } from '@jest/globals';
import { ThinkingText } from './thinking-text.js';

function split(text: string, opened: boolean, size: number) {
  const parser = new ThinkingText(opened);
  const sum = { thinking: '', content: '' };
  const add = (part: typeof sum): void => {
    sum.thinking += part.thinking;
    sum.content += part.content;
  };
  for (let at = 0; at < text.length; at += size) add(parser.push(text.slice(at, at + size)));
  add(parser.flush());
  return sum;
}

describe.each([1, 3, 1_000])('thinking: pieces of %i characters', (size) => {
  it.each([
    ['<think>\n a b \n</think>\n\nyes', false, { thinking: 'a b', content: 'yes' }],
    [' a </b </think> yes <think>', true, { thinking: 'a </b', content: 'yes <think>' }],
    [' plain <think>no</think>', false, { thinking: '', content: ' plain <think>no</think>' }],
    ['never over ', true, { thinking: 'never over', content: '' }],
    ['<thi', false, { thinking: '', content: '<thi' }],
    ['half </thi', true, { thinking: 'half </thi', content: '' }],
  ])('%j', (text, opened, expected) => {
    expect(split(text, opened, size)).toEqual(expected);
  });
});
