/** A container's log: Docker's frames cut anywhere, and bounds that hold. */
import { describe, expect, it } from '@jest/globals';
import { LogTail } from '../log-tail.js';
import { ContainerLog } from './container-log.js';

function frame(channel: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header.writeUInt8(channel, 0);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

describe('container log', () => {
  it('frames cut anywhere make the same lines', () => {
    const log = Buffer.concat([frame(1, 'one\ntw'), frame(2, 'wärn\r\n'), frame(1, 'o\nthree')]);
    for (let size = 1; size <= log.length; size++) {
      const tail = new ContainerLog();
      for (let at = 0; at < log.length; at += size) tail.write(log.subarray(at, at + size));
      expect(tail.lines()).toEqual(['one', 'wärn', 'two', 'three']);
    }
  });

  it('only the newest lines are kept', () => {
    const tail = new ContainerLog(new LogTail({ maxLines: 3 }));
    for (let line = 1; line <= 10; line++) tail.write(frame(1, `${line}\n`));
    expect(tail.lines()).toEqual(['8', '9', '10']);
  });

  it('a line that never ends is cut, not collected', () => {
    const tail = new ContainerLog(new LogTail({ maxChars: 10 }));
    for (let piece = 0; piece < 1_000; piece++) tail.write(frame(1, 'x'.repeat(100)));
    tail.write(frame(1, 'end\nnext'));
    expect(tail.lines()).toEqual(['xxxxxxxxxx…', 'next']);
  });

  it('after a restart the old lines are not there twice', () => {
    const tail = new ContainerLog();
    tail.write(frame(1, 'one\nhalf').subarray(0, 14));
    tail.restart();
    tail.write(frame(1, 'one\n'));
    expect(tail.lines()).toEqual(['one']);
  });
});
