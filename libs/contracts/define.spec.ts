/** Subjects: where messages go, and that nothing in an address can send them elsewhere. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { event, isSubjectToken, rpc, subjectOf } from './define.js';
import { EngineChanged, InferenceStart, RollCall, StreamFrames } from './index.js';

const Asked = rpc('test.ask', 'gateway', z.object({}), z.object({}));
const Odd = event('test.{id}.odd', z.object({}));

describe('subjects', () => {
  it.each([
    [subjectOf(InferenceStart, { root: 'ollamesh', node: 'gpu-1' }), 'ollamesh.gpu-1.inference.start'],
    [subjectOf(EngineChanged, { root: 'mine', node: '*' }), 'mine.*.engine.state'],
    [subjectOf(StreamFrames, { root: 'ollamesh', id: 'abc_DEF-1' }), 'ollamesh.stream.abc_DEF-1.frames'],
    [subjectOf(RollCall, { root: 'ollamesh', node: 'ignored' }), 'ollamesh.roll-call'],
  ])('address: %s', (subject, expected) => {
    expect(subject).toBe(expected);
  });

  it.each(['', '.', 'a.b', '>', 'a*', ' ', 'a b', 'a\r\nPUB x 0', 'ä', '$&', 'x'.repeat(129), undefined])('address: %j is no node, no id and no root', (evil) => {
    const node = evil as string;
    expect(() => subjectOf(Asked, { root: 'r', node })).toThrow(RangeError);
    expect(() => subjectOf(StreamFrames, { root: 'r', id: node })).toThrow(RangeError);
    expect(() => subjectOf(Asked, { root: node, node: 'n' })).toThrow(RangeError);
  });

  it('address: a wildcard stands for every node of an event, and for nothing else', () => {
    expect(() => subjectOf(StreamFrames, { root: 'r', id: '*' })).toThrow(RangeError);
    expect(() => subjectOf(Asked, { root: '*', node: 'n' })).toThrow(RangeError);
    expect(() => subjectOf(Asked, { root: 'r', node: '*' })).toThrow(RangeError);
  });

  it('address: whatever is accepted keeps the subject’s shape', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (node, id) => {
      fc.pre(isSubjectToken(node) && isSubjectToken(id));
      expect(subjectOf(Odd, { root: 'r', node, id }).split('.')).toEqual(['r', node, 'test', id, 'odd']);
    }));
    fc.assert(fc.property(fc.string(), (text) => {
      if (/[.*>\s]/.test(text)) expect(isSubjectToken(text)).toBe(false);
    }));
  });
});
