// A mesh and its viewers for one part of the benchmark, gone when it is over, whatever happens.
import { startCrowd } from './crowd.mjs';
import { startMeshApart } from './mesh-apart.mjs';

export async function withMesh(measure) {
  const mesh = await startMeshApart();
  const crowd = await startCrowd();
  try {
    await measure(mesh, crowd);
  } finally {
    await crowd.stop();
    await mesh.stop();
  }
}
