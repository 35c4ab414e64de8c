/** The log's tail: output cut anywhere makes the same lines, within bounds. */
import { describe, expect, it } from '@jest/globals';
import { LogTail } from './log-tail.js';

describe('log tail', () => {
  it('cuts: pieces of any size make the same lines', () => {
    const log = Buffer.from('one\r\nzwölf 🧀\n\nthree');
    for (let size = 1; size <= log.length; size++) {
      const tail = new LogTail();
      for (let at = 0; at < log.length; at += size) tail.take(log.subarray(at, at + size));
      expect(tail.lines()).toEqual(['one', 'zwölf 🧀', 'three']);
    }
  });

  it('channels: errors do not break a line of output', () => {
    const tail = new LogTail();
    tail.take(Buffer.from('loading '));
    tail.take(Buffer.from('warning\n'), 2);
    tail.take(Buffer.from('model\n'));
    expect(tail.lines()).toEqual(['warning', 'loading model']);
  });

  it('bounds: only the newest lines are kept, unfinished ones included', () => {
    const tail = new LogTail({ maxLines: 3 });
    for (let line = 1; line <= 10; line++) tail.take(Buffer.from(`${line}\n`));
    tail.take(Buffer.from('unfinished'));
    expect(tail.lines()).toEqual(['9', '10', 'unfinished']);
  });

  it('bounds: a line that never ends is cut, not collected', () => {
    const tail = new LogTail({ maxChars: 5 });
    for (let piece = 0; piece < 1_000; piece++) tail.take(Buffer.from('x'.repeat(100)));
    expect(tail.lines()).toEqual(['xxxxx…']);
    tail.take(Buffer.from('\n12345\n123456\n'));
    expect(tail.lines()).toEqual(['xxxxx…', '12345', '12345…']);
  });

  it('clear: nothing stays, half lines included', () => {
    const tail = new LogTail();
    tail.take(Buffer.from('one\nhalf'));
    tail.clear();
    tail.take(Buffer.from('one\n'));
    expect(tail.lines()).toEqual(['one']);
  });
});
