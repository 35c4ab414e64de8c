/** `ollamesh/vite`: a mesh beside Vite's dev server, which the app reaches at its own origin. Builds are left alone. */
import type { Plugin, ProxyOptions } from 'vite';
import { MeshError } from '#mesh-error';
import { type BorrowedMesh, borrowMesh } from './borrowed-mesh.js';
import { type FindOptions, engineAnswering } from './find-mesh.js';

export interface OllameshPluginOptions extends Pick<FindOptions, 'url' | 'config' | 'isolated'> {
  /** Where the app finds the gateway, at the dev server's own origin; `/ollamesh` unless said. */
  readonly path?: string;
}

const ENGINE_PATIENCE_MS = 120_000;

/**
 * Finds this user's mesh or starts it in the background, and leads `/ollamesh` there: requests, event streams and WebSockets. The
 * app has that path as `import.meta.env.VITE_OLLAMESH_URL`. Without a mesh the dev server starts all the same, and says what to do.
 */
export function ollamesh({ path = '/ollamesh', ...options }: OllameshPluginOptions = {}): Plugin {
  if (!/^\/[\w-]+$/.test(path)) throw new TypeError(`ollamesh: the path ${JSON.stringify(path)} is not one like "/ollamesh".`);
  let mesh: BorrowedMesh | undefined;
  let problem: string | undefined;
  let over = new AbortController();
  return {
    name: 'ollamesh',
    apply: 'serve',
    async config(_config, { isPreview }) {
      const env = { define: { 'import.meta.env.VITE_OLLAMESH_URL': JSON.stringify(path) } };
      if (isPreview) return env;
      try {
        mesh = await borrowMesh(options, { tell: () => undefined });
      } catch (thrown) {
        problem = MeshError.from(thrown).message;
        return env;
      }
      const { client, key } = mesh;
      const proxy: ProxyOptions = { target: client.url, changeOrigin: true, ws: true, rewrite: (url) => url.slice(path.length) || '/', ...(key !== undefined && { headers: { 'x-api-key': key } }) };
      return { ...env, server: { proxy: { [`^${path}(?:/|$)`]: proxy } } };
    },
    configureServer({ config: { logger } }) {
      const say = (text: string) => logger.info(`  ollamesh  ${text}`, { timestamp: true });
      if (!mesh) {
        logger.warn(`  ollamesh  ${problem ?? 'No mesh is there.'} The dev server runs without a model. What is wrong: npx ollamesh doctor`, { timestamp: true });
        return;
      }
      const borrowed = mesh;
      say(`${path} leads to the mesh at ${borrowed.client.url}/`);
      over = new AbortController();
      const { signal } = over;
      engineAnswering(borrowed.client, ENGINE_PATIENCE_MS, signal).then(
        () => say('an engine answers'),
        (thrown: unknown) => !signal.aborted && logger.warn(`  ollamesh  ${MeshError.from(thrown).message}`, { timestamp: true }),
      );
      void borrowed.lost.then(() => !signal.aborted && logger.warn('  ollamesh  The mesh has ended. Restart the dev server (r), or: npx ollamesh up -d', { timestamp: true }));
    },
    // The dev server closes, or is made anew; then the next one finds the mesh within its grace.
    async closeBundle() {
      over.abort();
      const borrowed = mesh;
      mesh = undefined;
      await borrowed?.giveBack();
    },
  };
}
