/** What a user gets from `docker compose up --build`: a valid file with nothing published that should not be, and an image that runs. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadConfig } from 'c12';
import { answerTo } from '../support/answers.js';
import { freePort } from '../support/free-port.js';
import { createStream, viewOf } from '../support/stream-requests.js';
import { until } from '../support/until.js';
import { buildNeighbours, compose, composeCommand, ROOT } from './compose-system.js';
import { describeWithDocker } from './docker-daemon.js';
import { importNodeBase } from './node-base.js';

const APPS = ['gpu-agent', 'orchestrator', 'model-manager', 'gateway'] as const;
const ENGINE_SIDE = ['gpu-agent', 'orchestrator', 'model-manager'] as const;
const NPM_BASE = 'ollamesh-test/node-npm';
const IMAGE = 'ollamesh-test/apps';

interface Service {
  readonly command?: string[];
  readonly environment?: Record<string, string>;
  readonly ports?: unknown[];
  readonly volumes?: unknown[];
  readonly restart?: string;
  readonly healthcheck?: object;
  readonly image?: string;
  readonly devices?: unknown[];
  readonly group_add?: unknown[];
  readonly deploy?: { readonly resources: { readonly reservations: { readonly devices: readonly { readonly capabilities: string[] }[] } } };
}

const hasCompose = composeCommand() !== undefined;
if (!hasCompose && process.env['CI'] !== 'true') console.warn('Skipped "compose file": there is neither docker-compose nor docker compose');

(hasCompose || process.env['CI'] === 'true' ? describe : describe.skip)('compose file', () => {
  let services: Record<string, Service> = {};

  beforeAll(async () => {
    services = await resolvedServices();
  });

  it('compose file: it is what compose calls valid, and has the whole mesh', () => {
    expect(Object.keys(services).sort()).toEqual([...APPS, 'nats', 'ollama'].sort());
  });

  it('compose file: only the gateway is published, and on loopback only', () => {
    const published = Object.entries(services).filter(([, { ports = [] }]) => ports.length > 0);
    expect(published.map(([name]) => name)).toEqual(['gateway']);
    expect(JSON.stringify(services['gateway']?.ports)).toMatch(/127\.0\.0\.1:11435:11435|"host_ip":"127\.0\.0\.1"/);
  });

  it('compose file: no container gets the Docker socket', () => {
    expect(JSON.stringify(services)).not.toContain('docker.sock');
  });

  it.each(APPS)('compose file: %s runs its own main and finds the bus', (app) => {
    expect(services[app]).toMatchObject({
      command: ['node', `dist/apps/${app}/main.js`],
      environment: { NATS_URL: 'nats://nats:4222' },
      restart: 'unless-stopped',
    });
  });

  it('compose file: the three apps beside the engine share its address and their node', () => {
    const settings = ENGINE_SIDE.map((app) => services[app]?.environment);
    expect(settings[0]).toMatchObject({ OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: 'http://ollama:11434', OLLAMESH_NODE: expect.stringMatching(/./) });
    expect(settings[1]).toEqual(settings[0]);
    expect(settings[2]).toEqual(settings[0]);
  });

  it('compose file: NATS has JetStream, Ollama never prunes, both keep their data and tell their health', () => {
    expect(services['nats']?.command).toContain('-js');
    expect(services['ollama']?.environment).toMatchObject({ OLLAMA_NOPRUNE: '1' });
    for (const name of ['nats', 'ollama']) {
      expect(services[name]?.volumes?.length).toBeGreaterThan(0);
      expect(services[name]?.healthcheck).toBeDefined();
    }
  });
});

(hasCompose || process.env['CI'] === 'true' ? describe : describe.skip)('compose overrides', () => {
  it('nvidia: the engine and the agent that looks get every GPU, and nobody else does', async () => {
    const services = await resolvedServices('docker-compose.nvidia.yml');
    const withGpus = Object.keys(services).filter((name) => services[name]?.deploy?.resources.reservations.devices.some(({ capabilities }) => capabilities.includes('gpu')));
    expect(withGpus.sort()).toEqual(['gpu-agent', 'ollama']);
    expect(services['ollama']?.image).toBe('ollama/ollama:latest');
  });

  it('amd: the engine is the one for ROCm, with the devices and the groups that own them', async () => {
    const { ollama, ...others } = await resolvedServices('docker-compose.amd.yml');
    expect(ollama?.image).toBe('ollama/ollama:rocm');
    for (const device of ['/dev/kfd', '/dev/dri']) expect(JSON.stringify(ollama?.devices)).toContain(device);
    expect(ollama?.group_add).toHaveLength(2);
    expect(Object.values(others).flatMap(({ devices = [] }) => devices)).toEqual([]);
  });
});

/** What the page's build loads: the libraries these need are in the official image, and must be in the one made here. */
function bundlerAddons(): string[] {
  const modules = join(ROOT, 'node_modules');
  const bindings = readdirSync(join(modules, '@rolldown')).filter((name) => name.startsWith('binding-')).map((name) => join('@rolldown', name));
  const folders = [...bindings, ...readdirSync(modules).filter((name) => name.startsWith('lightningcss-'))].map((name) => join(modules, name));
  return folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith('.node')).map((name) => join(folder, name)));
}

describeWithDocker('image', (daemon) => {
  beforeAll(async () => {
    await importNodeBase(daemon(), { tag: NPM_BASE, npm: true, runs: bundlerAddons() });
    // The network of this machine: npm reaches its registry from the build as it does from here.
    const args = [`NODE_IMAGE=${NPM_BASE}`, ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].filter((name) => process.env[name])];
    await daemon().cli('build', '--quiet', '--force-rm', '--network', 'host', ...args.flatMap((arg) => ['--build-arg', arg]), '--tag', IMAGE, ROOT);
  }, 300_000);

  afterAll(async () => {
    await daemon().cli('rmi', '--force', IMAGE, NPM_BASE);
    await daemon().cli('image', 'prune', '--force', '--filter', 'label=dev.ollamesh.stage=build');
  }, 60_000);

  const inside = (script: string): Promise<string> => daemon().cli('run', '--rm', '--network', 'none', IMAGE, 'node', '--input-type=module', '--eval', script);

  it('image: everything built into it finds what it imports', async () => {
    // Every module but React hooks, which are for browsers, and the mains, which would start: none may need a development or optional package just to be loaded.
    const loaded = await inside(`
      import { readdirSync } from 'node:fs';
      const folders = ['libs', ...${JSON.stringify(APPS)}.map((app) => 'apps/' + app)];
      const files = readdirSync('dist', { recursive: true }).filter((file) => file.endsWith('.js') && !file.endsWith('main.js') && !file.startsWith('libs/react/') && folders.some((folder) => file.startsWith(folder + '/')));
      for (const file of files) await import('/ollamesh/dist/' + file);
      const { subjectOf, EngineDescribe } = await import('#contracts');
      console.log(subjectOf(EngineDescribe, { root: 'ollamesh', node: 'compose' }), files.includes('libs/contracts/index.js'));
    `);
    expect(loaded).toBe('ollamesh.compose.engine.describe true');
  });

  it('image: it holds the main of every app there is', async () => {
    const built = APPS.filter((app) => existsSync(join(ROOT, 'apps', app, 'main.ts')));
    const held = await inside(`import { existsSync } from 'node:fs'; console.log(JSON.stringify(${JSON.stringify(APPS)}.filter((app) => existsSync('dist/apps/' + app + '/main.js'))))`);
    expect(JSON.parse(held)).toEqual(built);
  });

  it('image: the apps run as somebody who cannot change them', async () => {
    const said = await inside(`import { writeFileSync } from 'node:fs'; let code; try { writeFileSync('dist/x', '') } catch (thrown) { code = thrown.code } console.log(process.getuid(), code, process.env.NODE_ENV)`);
    expect(said).toBe('1000 EACCES production');
  });

  describe('compose up', () => {
    const FILE = ['docker-compose.yml'];
    const project = ['--project-name', `ollamesh-test-${process.pid}`];
    let env: Record<string, string> = {};
    let url = '';
    let removeNeighbours = async (): Promise<void> => undefined;

    beforeAll(async () => {
      removeNeighbours = await buildNeighbours(daemon());
      await daemon().cli('tag', IMAGE, 'ollamesh');
      const port = await freePort();
      env = { DOCKER_HOST: daemon().host, OLLAMESH_PORT: String(port) };
      url = `http://127.0.0.1:${port}`;
      await compose(FILE, [...project, 'up', '--detach', '--no-build'], env);
      // Docker's proxy takes connections before the gateway does, and leaves some of them hanging.
      const ready = () => fetch(`${url}/ready`, { signal: AbortSignal.timeout(2_000) }).then(({ ok }) => ok, () => false);
      await until('the gateway is ready', ready, 90_000);
    }, 240_000);

    afterAll(async () => {
      await compose(FILE, [...project, 'down', '--volumes', '--timeout', '5'], env);
      await daemon().cli('rmi', '--force', 'ollamesh');
      await removeNeighbours();
    }, 90_000);

    const answer = async (question: string): Promise<string> => {
      const { id } = await createStream(url, { prompt: question, model: 'guide', options: { temperature: 0 } });
      const view = await until('it has ended', async () => {
        const seen = await viewOf(url, id);
        return (seen.done ?? seen.error) && seen;
      });
      expect(view.error).toBeUndefined();
      return view.text;
    };

    it('up: a message goes through every container and comes back answered', async () => {
      expect(await answer('What is NATS?')).toBe(answerTo('What is NATS?'));
      expect(await (await fetch(`${url}/hardware`)).json()).toMatchObject({ nodes: [{ node: 'compose' }] });
    });

    it('up: a service that is killed comes back by itself, and so do answers', async () => {
      const [container = ''] = (await compose(FILE, [...project, 'ps', '--quiet', 'model-manager'], env)).trim().split('\n');
      const inspect = (format: string): Promise<string> => daemon().cli('inspect', '--format', format, container);
      process.kill(Number(await inspect('{{.State.Pid}}')), 'SIGKILL');
      await until('its container runs again', async () => (await inspect('{{.RestartCount}} {{.State.Running}}')) === '1 true', 30_000);
      await until('it answers again', async () => (await answer('Who are you?').catch(() => undefined)) === answerTo('Who are you?'), 60_000);
    }, 120_000);
  });

  it('image: neither llama.cpp nor what only development needs is in it', async () => {
    const said = await inside(`import { existsSync } from 'node:fs'; console.log(JSON.stringify(['@node-llama-cpp/linux-x64', 'jest', 'typescript', 'zod'].filter((name) => existsSync('node_modules/' + name))))`);
    expect(JSON.parse(said)).toEqual(['zod']);
  });
});

/** The services as compose itself understands the files. */
async function resolvedServices(...overrides: string[]): Promise<Record<string, Service>> {
  const resolved = await compose(['docker-compose.yml', ...overrides], ['config']);
  const folder = await mkdtemp(join(tmpdir(), 'ollamesh-compose-'));
  try {
    await writeFile(join(folder, 'resolved.yaml'), resolved);
    const { config } = await loadConfig<{ services: Record<string, Service> }>({ cwd: folder, configFile: 'resolved.yaml', rcFile: false, globalRc: false, packageJson: false, dotenv: false });
    return config.services;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
