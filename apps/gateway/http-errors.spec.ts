/** Every error code has an HTTP status that says the same about trying again. */
import { describe, expect, it } from '@jest/globals';
import { ErrorCode, MeshError } from '#contracts';
import { statusOf } from './error-table.js';

describe('http errors', () => {
  it.each(ErrorCode.options)('status: %s', (code) => {
    const status = statusOf(code);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    // What a client may repeat is 409 or 429 or the server's fault; what it may not is its own, or a bug.
    if (new MeshError(code, '').retryable) expect([409, 429, 502, 503, 504]).toContain(status);
    else expect([503, 504]).not.toContain(status);
  });
});
