/** Errors keep what they say across every wire; the schema's complaints become sentences and fields. */
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { ErrorBody, ErrorCode, parseOrThrow } from './errors.js';
import { MeshError } from './mesh-error.js';

describe('errors', () => {
  it.each(ErrorCode.options)('wire: %s is the same on the other side', (code) => {
    const error = new MeshError(code, 'What went wrong.', { details: { model: 'x' } });
    const there = MeshError.fromBody(ErrorBody.parse(JSON.parse(JSON.stringify(error))));
    expect(there).toBeInstanceOf(MeshError);
    expect(there.toJSON()).toEqual({ code, message: 'What went wrong.', retryable: error.retryable, details: { model: 'x' } });
  });

  it('wire: who throws may say that trying again helps', () => {
    expect(MeshError.fromBody({ code: 'engine_error', message: '', retryable: true }).retryable).toBe(true);
    expect(new MeshError('engine_error', '').retryable).toBe(false);
  });

  it('from: what is thrown becomes internal and keeps its cause; a typed error stays itself', () => {
    const bug = new TypeError('a bug');
    expect(MeshError.from(bug)).toMatchObject({ code: 'internal', message: 'a bug', cause: bug, retryable: false });
    expect(MeshError.from('a text').message).toBe('a text');
    const typed = new MeshError('forbidden', 'No.');
    expect(MeshError.from(typed)).toBe(typed);
  });

  it('parse: names the field and the reason, at most ten', () => {
    const schema = z.object({ limits: z.object({ streams: z.int() }), names: z.array(z.string()) });
    const input = { limits: { streams: 'many' }, names: Array.from({ length: 20 }, () => 1) };
    const thrown = (() => {
      try {
        return parseOrThrow(schema, input, 'settings');
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toMatchObject({ code: 'invalid_request', message: expect.stringMatching(/^Invalid settings: limits\.streams: /) });
    const { issues } = (thrown as MeshError).details as { issues: { field: string }[] };
    expect(issues.map(({ field }) => field).slice(0, 2)).toEqual(['limits.streams', 'names.0']);
    expect(issues).toHaveLength(10);
  });
});
