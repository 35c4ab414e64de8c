/** An engine's lines in our log: at their own level, and never a flood. */
import { describe, expect, it } from '@jest/globals';
import { engineLog, levelOf } from './engine-log.js';

describe('engine log', () => {
  it.each([
    ['time=2025-10-01T10:00:00Z level=WARN source=x msg="slow"', 'warn'],
    ['time=2025-10-01T10:00:00Z level=ERROR msg="model runner has unexpectedly stopped"', 'error'],
    ['time=2025-10-01T10:00:00Z level=DEBUG msg=x', 'debug'],
    ['[GIN] 2025/10/01 - 10:00:00 | 200 | 1ms | 127.0.0.1 | GET "/api/version"', 'debug'],
    ['panic: runtime error: invalid memory address', 'error'],
    ['Error: listen tcp 127.0.0.1:11434: bind: address already in use', 'error'],
    ['warning: no usable GPU found', 'warn'],
    ['llama_model_loader: loaded meta data', 'info'],
  ])('level: %s', (line, level) => {
    expect(levelOf(line)).toBe(level);
  });

  it('rate: of a flood twenty lines a second go through, and how many were left out is told', () => {
    const written: string[] = [];
    const write = (line: string) => void written.push(line);
    let now = 0;
    const sink = engineLog({ debug: write as never, info: write, warn: write as never, error: write as never }, () => now);
    for (let line = 0; line < 100; line++) sink(`line ${line}`);
    expect(written).toHaveLength(20);
    now = 1_000;
    sink('later');
    expect(written.slice(20)).toEqual(['engine: (80 lines left out: more than 20 a second)', 'engine: later']);
  });
});
