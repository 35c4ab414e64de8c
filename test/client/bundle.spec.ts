/** What a page pays for the client: its bytes, and that nothing of Node or of the schema library is among them. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { bundleOf } from './bundle.js';

const MAX_BYTES = 15_000;

describe('bundle', () => {
  it('client: at most 15 kB compressed, and nothing in it that a browser has not', async () => {
    const code = await bundleOf('dist/libs/client/index.js');
    expect(gzipSync(code).length).toBeLessThanOrEqual(MAX_BYTES);
    expect(gzipSync(code).length).toBeGreaterThan(2_000); // It is all there.
    expect(code).not.toMatch(/ZodError|from ?["'](?!\.)|require\(|\bprocess\.|\bBuffer\b/);
    console.info(`The client takes ${gzipSync(code).length} bytes, compressed.`);
  });
});
