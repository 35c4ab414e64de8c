/** The log's tail: any cut, several sources, bounds that hold. */
import { describe, expect, it } from '@jest/globals';
import { LogTail } from './log-tail.js';

describe('log tail', () => {
  it('log tail: two sources cut in the middle of their lines don’t run into each other', () => {
    const tail = new LogTail();
    tail.take('out ', 0);
    tail.take('err ', 1);
    tail.take('one\n', 0);
    tail.take('one\r\n', 1);
    expect(tail.lines()).toEqual(['out one', 'err one']);
  });

  it('log tail: the newest lines are kept, the unfinished one last', () => {
    const tail = new LogTail({ maxLines: 3 });
    tail.take('1\n2\n3\n4');
    expect(tail.lines()).toEqual(['2', '3', '4']);
  });

  it('log tail: a line that never ends is cut, not collected', () => {
    const tail = new LogTail({ maxChars: 10 });
    for (let piece = 0; piece < 1_000; piece++) tail.take('x'.repeat(100));
    expect(tail.lines()).toEqual(['xxxxxxxxxx…']);
  });
});
