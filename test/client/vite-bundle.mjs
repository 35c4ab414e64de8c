/** Bundles a file of the built package with Vite, minified, everything it needs inside, and writes it to standard output. In a process of its own: Vite does not run inside of Jest. */
import { build } from 'vite';

const [, , entry] = process.argv;
const [{ output }] = [await build({
  configFile: false,
  logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"' },
  build: { write: false, minify: true, target: 'es2022', lib: { entry, formats: ['es'], fileName: 'bundle' } },
})].flat();
process.stdout.write(output.map(({ code }) => code ?? '').join(''));
