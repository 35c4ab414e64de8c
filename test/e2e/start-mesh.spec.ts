/** startMesh() as a test or script of a user's has it: from the package, with nothing shared and nothing left. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { ROOT, runNode } from '../support/program.js';
import { isClosed } from '../support/process-table.js';

async function script(body: string): Promise<{ code: number | null; said: Record<string, string>; stderr: string }> {
  const program = runNode(['--input-type=module', '-e', `import { startMesh } from '${ROOT}dist/apps/cli/index.js';\n${body}`]);
  const { code } = await program.exited;
  return { code, said: JSON.parse(program.stdout.trim() || '{}') as Record<string, string>, stderr: program.stderr };
}

const ANSWER = `async (mesh) => (await (await fetch(mesh.url + '/v1/chat/completions', { method: 'POST', body: JSON.stringify({ model: 'guide', temperature: 0, messages: [{ role: 'user', content: 'What is NATS?' }] }) })).json()).choices[0].message.content`;

describe('startMesh', () => {
  it('two at once answer, each at its own address; closed, the script ends by itself and no port stays open', async () => {
    const { code, said, stderr } = await script(`
      const ask = ${ANSWER};
      const meshes = await Promise.all([startMesh(), startMesh()]);
      console.log(JSON.stringify({ a: meshes[0].url, b: meshes[1].url, answer: await ask(meshes[1]) }));
      for (const mesh of meshes) { await mesh[Symbol.asyncDispose](); await mesh.close(); }`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(said['answer']).toContain('NATS is');
    expect(said['a']).not.toBe(said['b']);
    for (const url of [said['a'], said['b']]) expect(await isClosed(Number(new URL(url ?? '').port))).toBe(true);
  }, 90_000);

  it('options: what is no setting is refused with its name; a data folder that is given stays', async () => {
    const { said } = await script(`
      const refused = await startMesh({ gateway: { prot: 1 } }).catch((error) => error.message);
      const mesh = await startMesh({ dataDir: '/tmp/ollamesh-kept-' + process.pid });
      await mesh.close();
      console.log(JSON.stringify({ refused, dataDir: '/tmp/ollamesh-kept-' + process.pid }));`);
    expect(said['refused']).toContain('prot');
    expect(existsSync(said['dataDir'] ?? '')).toBe(true);
    await rm(said['dataDir'] ?? '', { recursive: true });
  }, 90_000);
});
