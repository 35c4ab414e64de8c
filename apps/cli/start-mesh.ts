/** `startMesh()` for tests and scripts: a mesh in this process that shares nothing with another and is gone when it is closed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Config, type ConfigInput, type ConfigLoaded, type LoadedConfig } from '#config';
import { MeshError, describeIssues } from '#contracts';
import { once } from '#runtime';
import { launchMesh } from './launch.js';

export interface StartedMesh extends AsyncDisposable {
  /** The gateway's address. */
  readonly url: string;
  /** Shows whoever sends it as bearer token, or as `x-api-key`, to be the operator. */
  readonly operatorToken: string;
  /** Stops everything and removes its data folder. Idempotent. */
  close(): Promise<void>;
}

/** How long an engine may take until it has its models, in milliseconds; a model that is pulled may need more: `readyWithinMs`. */
const READY_WITHIN_MS = 120_000;

export interface StartMeshOptions extends ConfigInput {
  readonly readyWithinMs?: number;
}

/**
 * @param options as in ollamesh.config.ts; without them: the built-in engine, free ports, a data folder of its own
 * @returns when it answers questions
 * @throws MeshError of what can't start or is not ready in time; nothing is left running then
 */
export async function startMesh({ readyWithinMs = READY_WITHIN_MS, ...input }: StartMeshOptions = {}): Promise<StartedMesh> {
  const parsed = Config.safeParse({ ...input, engine: { driver: 'embedded', ...input.engine }, gateway: { port: 0, ...input.gateway } });
  if (!parsed.success) throw new MeshError('invalid_request', describeIssues(parsed.error.issues, 'options'));
  const own = parsed.data.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'ollamesh-')) : undefined;
  const config = { ...parsed.data, dataDir: parsed.data.dataDir ?? own ?? '' };
  const removeOwn = async () => own !== undefined && (await rm(own, { recursive: true, force: true }));
  try {
    const mesh = await launchMesh({ loaded: withoutFile(config), view: { tell: () => undefined }, logFormat: 'line', onEnd: () => void close() });
    if (!mesh) throw new MeshError('unavailable', `Another process is the mesh of ${config.dataDir}.`);
    const close = once(async () => {
      await mesh.close();
      await removeOwn();
    });
    const limit = new AbortController();
    const late = sleep(readyWithinMs, undefined, { signal: limit.signal }).then(() => {
      throw new MeshError('engine_unavailable', `The mesh is not ready after ${readyWithinMs} ms.`);
    });
    late.catch(() => undefined); // Aborted once it is ready in time.
    try {
      await Promise.race([mesh.ready, late]);
    } catch (thrown) {
      await close();
      throw thrown;
    } finally {
      limit.abort();
    }
    return { url: mesh.url, operatorToken: mesh.operatorToken, close, [Symbol.asyncDispose]: close };
  } catch (thrown) {
    await removeOwn();
    throw thrown;
  }
}

function withoutFile(config: LoadedConfig): ConfigLoaded {
  const loaded: ConfigLoaded = { config, origins: {}, notices: [], reload: () => Promise.resolve(loaded) };
  return loaded;
}
