/** Builds the page into dist/apps/page: names with hashes, and each text file also compressed, once here instead of at every request. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { type Plugin, defineConfig } from 'vite';

const OUT = join(import.meta.dirname, '../../dist/apps/page');
const COMPRESSED = /\.(?:js|css|svg|html)$/;

function compress(): Plugin {
  return {
    name: 'compress',
    writeBundle() {
      for (const name of readdirSync(OUT).filter((one) => COMPRESSED.test(one))) {
        const text = readFileSync(join(OUT, name));
        writeFileSync(join(OUT, `${name}.br`), brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: text.length } }));
        writeFileSync(join(OUT, `${name}.gz`), gzipSync(text, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  base: '/page/',
  logLevel: 'warn',
  plugins: [compress()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    assetsDir: '',
    // The policy allows no style or picture that is written into the page.
    assetsInlineLimit: 0,
    // light-dark() stays as it is: the rewriting for older browsers would double every colour.
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
  },
});
