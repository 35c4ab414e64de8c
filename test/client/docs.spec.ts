/** What docs/sdk.md says in code runs, as it stands there. */
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answerTo } from '../support/answers.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { ROOT, runNode } from '../support/program.js';
import { projectFolder } from '../support/project-folder.js';

const SNIPPET = /```js\n([^]*?)```/g;

describe('docs/sdk.md', () => {
  let mesh: MeshProcess;
  const folder = projectFolder('sdk-');
  const file = join(folder, 'snippets.mjs');
  beforeAll(async () => {
    mesh = await startMesh();
  });
  afterAll(async () => {
    await mesh.stop();
    await rm(folder, { recursive: true });
  });

  it('its snippets, one after the other in Node, do what they say and end', async () => {
    const snippets = [...readFileSync(`${ROOT}docs/sdk.md`, 'utf8').matchAll(SNIPPET)].map(([, code]) => code);
    expect(snippets.length).toBe(3);
    writeFileSync(file, snippets.join('\n').replaceAll('http://127.0.0.1:11435', mesh.url));
    const program = runNode([file]);
    expect({ ...(await program.exited), stderr: program.stderr }).toMatchObject({ code: 0, stderr: '' });
    expect(program.stdout).toContain(answerTo('What is NATS?'));
    expect(program.stdout).toMatch(/\n2\n[^]*100 [^]*guide:latest[^]*ok\n$/);
  });
});
