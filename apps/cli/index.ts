/** The package's main export: configuration, and a mesh for tests and scripts. Whoever only configures loads nothing else. */
import type { StartMeshOptions, StartedMesh } from './start-mesh.js';

export * from '#config';
export type { StartMeshOptions, StartedMesh } from './start-mesh.js';

/**
 * Starts a mesh in this process, with free ports and a data folder of its own: `await using mesh = await startMesh()`.
 * @throws MeshError of what can't start or is not ready in time; nothing is left running then
 */
export async function startMesh(options?: StartMeshOptions): Promise<StartedMesh> {
  return (await import('./start-mesh.js')).startMesh(options);
}
