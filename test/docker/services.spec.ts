/** A service definition as somebody uses it: from a repository to an engine that answers, and back. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Engine, Service } from '#contracts';
import { answerTo } from '../support/answers.js';
import { ask } from '../support/http-client.js';
import { type MeshProcess, startMesh } from '../support/mesh-process.js';
import { CLI, runNode } from '../support/program.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { until } from '../support/until.js';
import { describeWithDocker } from './docker-daemon.js';
import { BASE_IMAGE, buildEngineImage, ENGINE_IMAGE } from './engine-image.js';

const NODE = `services-${process.pid}`;
const VOLUME = `ollamesh-services-${process.pid}`;
const DEFINITION = `
name: "ollama-service"
version: "1.0.0"
description: "An engine of our own"
docker:
  image: "${ENGINE_IMAGE}"
  ports: [11434]
  env: {GREETING: hello}
  volumes: ["${VOLUME}:/root/.ollama"]
capabilities: [text-to-text]
`;

describeWithDocker('services', (daemon) => {
  let folder = '';
  let mesh: MeshProcess;
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org', ...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  const engine = async (): Promise<Engine | undefined> => (await ask(`${mesh.url}/engine`)).json<{ nodes: Engine[] }>().nodes[0];
  const services = async (...args: string[]) => {
    const program = runNode([CLI, 'services', ...args, '--json'], { env: mesh.env });
    await program.exited;
    return program;
  };

  beforeAll(async () => {
    await buildEngineImage(daemon());
    folder = mkdtempSync(join(tmpdir(), 'ollamesh-services-'));
    git('init', '--quiet', '--bare', 'origin.git');
    git('clone', '--quiet', 'origin.git', 'work');
    writeFileSync(join(folder, 'work/ours.service.yml'), DEFINITION);
    git('-C', 'work', 'add', '--all');
    git('-C', 'work', 'commit', '--quiet', '--message', 'first');
    git('-C', 'work', 'push', '--quiet', 'origin', 'HEAD:refs/heads/ours');
    mesh = await startMesh({ env: { OLLAMESH_NODE: NODE, DOCKER_HOST: daemon().host } });
  }, 180_000);

  afterAll(async () => {
    await mesh.stop();
    expect(await daemon().cli('ps', '--all', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`)).toBe('');
    await daemon().cli('volume', 'rm', '--force', VOLUME);
    await daemon().cli('rmi', '--force', ENGINE_IMAGE, BASE_IMAGE);
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('start and stop: the engine is made by the definition, answers, and makes room for the configured one again', async () => {
    const source = `git:file://${folder}/origin.git#ours`;
    const started = await services('start', source);
    expect({ errors: started.stderr, service: JSON.parse(started.stdout) as Service }).toMatchObject({
      service: { name: 'ollama-service', state: 'active', commit: git('-C', 'work', 'rev-parse', 'HEAD') },
    });
    const ready = await until('its container is ready', async () => {
      const now = await engine();
      return now?.driver === 'docker' && now.state === 'ready' && now;
    }, 60_000);
    expect(ready).toMatchObject({ wish: { driver: 'docker', service: source } });
    const [container = ''] = (await daemon().cli('ps', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`)).split('\n');
    expect(await daemon().cli('inspect', '--format', '{{.Config.Image}} {{.Config.Env}} {{range .Mounts}}{{.Name}}:{{.Destination}}{{end}}', container)).toMatch(
      new RegExp(`^${ENGINE_IMAGE}(:latest)? .*GREETING=hello.* ${VOLUME}:/root/.ollama$`),
    );
    const { id } = await createStream(mesh.url, { prompt: 'What is NATS?', model: 'guide', options: { temperature: 0 } });
    await until('it has answered', async () => (await viewOf(mesh.url, id)).done);
    expect((await viewOf(mesh.url, id)).text).toBe(answerTo('What is NATS?'));

    expect(JSON.parse((await services('list')).stdout)).toEqual([
      expect.objectContaining({ source: 'ollama', image: 'ollama/ollama:latest', state: 'available' }),
      expect.objectContaining({ source, state: 'active' }),
    ]);
    await services('stop');
    await until('the built-in engine is ready', async () => {
      const now = await engine();
      return now?.driver === 'embedded' && now.state === 'ready';
    }, 60_000);
    expect(await daemon().cli('ps', '--quiet', '--filter', `label=dev.ollamesh.node=${NODE}`)).toBe('');
  }, 150_000);

  it('start: what can’t be used is refused with the reason, and the engine runs on', async () => {
    writeFileSync(join(folder, 'bad.service.yml'), DEFINITION.replace('ports', 'privileged: true\n  ports'));
    const refused = await services('start', join(folder, 'bad.service.yml'));
    expect(refused.stderr).toContain('docker: unknown: privileged');
    expect(refused.child.exitCode).toBe(1);
    expect((await services('start', 'git:--upload-pack=x')).stderr).toContain('not an https, ssh or file URL');
    expect(await engine()).toMatchObject({ driver: 'embedded', state: 'ready' });
  });
});
