/** The first minutes of someone who has Node and nothing else: start, see why, ask, watch, and stop, through every door. */
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventSource } from 'eventsource';
import { readRunFile } from '../../apps/cli/run-file.js';
import { answerTo } from '../support/answers.js';
import { ask, openSse, readSse } from '../support/http-client.js';
import { type MeshProcess, startMesh, temporaryFolder } from '../support/mesh-process.js';
import { descendantsOf, isAlive, isClosed } from '../support/process-table.js';
import { CLI, ollamesh, runNode, untilSaid } from '../support/program.js';
import { connectSocket } from '../support/socket-client.js';
import { type StreamEvent, textOf } from '../support/stream-text.js';
import { until } from '../support/until.js';

const QUESTION = 'What is NATS?';
/** Its answer takes so long that even a busy machine shows it growing. */
const LONG_QUESTION = 'Tell me a short story.';
const ANSWER = answerTo(QUESTION);
/** No Docker, whatever this machine has: the newcomer has none. */
const BARE = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' };

describe('a mesh that runs', () => {
  let mesh: MeshProcess;
  beforeAll(async () => {
    // An Ollama on this machine would be chosen first; the newcomer has none.
    const hasOllama = !(await isClosed(11_434));
    mesh = await startMesh({ env: { ...BARE, OLLAMESH_ENGINE: hasOllama ? 'embedded' : 'auto' } });
  });
  afterAll(async () => {
    await mesh.stop();
  });

  it('start-up facts: bus, hardware, engine choices, gateway and models come as one JSON object a line', () => {
    const byKind = new Map(mesh.facts.map((fact) => [fact.what, fact]));
    expect([...byKind.keys()].toSorted()).toEqual(['bus', 'config', 'engine', 'gateway', 'hardware', 'ready']);
    expect(byKind.get('bus')).toMatchObject({ url: expect.stringMatching(/^nats:\/\/127\.0\.0\.1:\d+$/), reason: expect.stringContaining('no NATS_URL') });
    expect(byKind.get('hardware')).toMatchObject({ hardware: { cpu: { cores: expect.any(Number) }, memory: { totalBytes: expect.any(Number) } } });
    expect(byKind.get('gateway')).toMatchObject({ url: mesh.url, wantedPort: 0 });
    expect(byKind.get('ready')).toMatchObject({ url: mesh.url, model: 'guide:latest', models: [{ name: 'guide:latest' }] });
  });

  it('start-up facts: every engine looked for has a reason, exactly one is chosen', () => {
    const engine = mesh.facts.findLast((fact) => fact.what === 'engine')?.engine;
    expect(engine).toMatchObject({ state: 'ready', driver: 'embedded' });
    expect(engine?.choices.filter(({ chosen }) => chosen).map(({ driver }) => driver)).toEqual(['embedded']);
    for (const { reason } of engine?.choices ?? []) expect(reason).toMatch(/\S/);
  });

  it('SSE: an EventSource gets the answer word for word, in several updates', async () => {
    const { id } = (await ask(`${mesh.url}/streams`, { body: { prompt: QUESTION } })).json<{ id: string }>();
    const source = new EventSource(`${mesh.url}/streams/${id}`);
    const events: StreamEvent[] = [];
    for (const event of ['snapshot', 'delta', 'done']) {
      source.addEventListener(event, (message) => events.push({ event, data: JSON.parse(message.data) as StreamEvent['data'], id: message.lastEventId }));
    }
    await once(source as never, 'done');
    source.close();
    expect(textOf(events)).toBe(ANSWER);
    expect(events.map(({ id: position }) => position)).toEqual(events.map(({ data }) => data['position']));
  });

  it('SSE: an EventSource left open stops by itself after the end, without asking for ever', async () => {
    const { id } = (await ask(`${mesh.url}/streams`, { body: { prompt: QUESTION } })).json<{ id: string }>();
    let requests = 0;
    const source = new EventSource(`${mesh.url}/streams/${id}`, {
      fetch: (url, init) => {
        requests++;
        return fetch(url, init);
      },
    });
    await new Promise<void>((resolve) => source.addEventListener('error', () => source.readyState === EventSource.CLOSED && resolve()));
    expect(requests).toBe(2); // The stream, and the 204 at its terminal position.
  });

  it('curl -N: posting a question with a form content type streams the answer, token by token', async () => {
    const connection = await openSse(`${mesh.url}/streams`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': 'curl/7.88.1' },
      body: JSON.stringify({ prompt: LONG_QUESTION }),
    });
    await connection.ended;
    expect(connection.headers['content-type']).toContain('text/event-stream');
    expect(textOf(connection.events)).toBe(answerTo(LONG_QUESTION));
    expect(connection.events.map(({ event }) => event).filter((event) => event !== 'delta')).toEqual(['created', 'snapshot', 'done']);
    expect(connection.events.filter(({ event }) => event === 'delta').length).toBeGreaterThan(1);
  });

  it('Socket.IO: a stock client gets the answer word for word, in several updates', async () => {
    const client = await connectSocket(mesh.url);
    const { ok, id } = await client.ask('chat', { messages: [{ role: 'user', content: LONG_QUESTION }] });
    expect(ok).toBe(true);
    await client.ended(id);
    expect(textOf(client.eventsOf(id))).toBe(answerTo(LONG_QUESTION));
    expect(client.eventsOf(id).filter(({ event }) => event === 'delta').length).toBeGreaterThan(1);
    client.close();
  });

  it('chat: finds the mesh by its run file and prints the answer, and nothing else, on standard output', async () => {
    const { code, stdout, stderr } = await ollamesh(['chat', QUESTION], { env: mesh.env });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${ANSWER}\n`, stderr: '' });
  });

  it('chat: "-" takes the question from standard input', async () => {
    const { code, stdout } = await ollamesh(['chat', '-'], { env: mesh.env, input: QUESTION });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${ANSWER}\n` });
  });

  it('chat: without a question it is a conversation until the input ends', async () => {
    const { code, stdout } = await ollamesh(['chat'], { env: mesh.env, input: `${QUESTION}\nHello!\n` });
    expect(code).toBe(0);
    expect(stdout).toContain(`${ANSWER}\n`);
    expect(stdout.trim().split('\n').length).toBeGreaterThanOrEqual(2);
  });

  it('chat: an unknown model says what exists and how to get it, exit code 1', async () => {
    const { code, stdout, stderr } = await ollamesh(['chat', '-m', 'nobody/has-this', QUESTION], { env: mesh.env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('guide:latest');
    expect(stderr).toContain('ollamesh pull nobody/has-this:latest');
  });

  it('models: lists the built-in model as a table and as JSON', async () => {
    const table = await ollamesh(['models'], { env: mesh.env });
    expect(table).toMatchObject({ code: 0, stdout: expect.stringMatching(/^NAME .*\nguide:latest +3\.8 MB +3\.54M +Q8_0/) });
    const json = await ollamesh(['models', '--json'], { env: mesh.env });
    expect(JSON.parse(json.stdout)).toMatchObject([{ name: 'guide:latest' }]);
  });

  it('pull: a model that is here is here; one that nobody has fails and says why', async () => {
    expect(await ollamesh(['pull', 'guide'], { env: mesh.env })).toMatchObject({ code: 0, stdout: expect.stringContaining('guide:latest is here') });
    const missing = await ollamesh(['pull', '127.0.0.1:1/nobody/has-this'], { env: mesh.env });
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toMatch(/nobody\/has-this.*connection refused/);
  });

  it('pull: a name that is none is refused before anything is asked for', async () => {
    const { code, stderr } = await ollamesh(['pull', '../../etc/passwd'], { env: mesh.env });
    expect(code).toBe(1);
    expect(stderr).toContain('is not a model name');
  });

  it('status: shows gateway, engine, hardware and models', async () => {
    const { code, stdout } = await ollamesh(['status'], { env: mesh.env });
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^gateway +${mesh.url}/$`, 'm'));
    expect(stdout).toMatch(/^engine .*embedded .*is ready/m);
    expect(stdout).toMatch(/^hardware .*cores/m);
    expect(stdout).toMatch(/^models +guide:latest/m);
    expect(JSON.parse((await ollamesh(['status', '--json'], { env: mesh.env })).stdout)).toMatchObject({ running: true, url: mesh.url });
  });

  it('up: a second one says that a mesh runs already, and where', async () => {
    expect(await ollamesh(['up'], { env: mesh.env })).toMatchObject({ code: 0, stdout: expect.stringContaining(`${mesh.url}/`) });
    expect(JSON.parse((await ollamesh(['up', '--json'], { env: mesh.env })).stdout)).toEqual({ what: 'running', url: mesh.url });
    expect((await ask(`${mesh.url}/health`)).status).toBe(200);
  });

  it('run file: readable by its user alone', () => {
    expect(statSync(join(mesh.dataDir, 'run.json')).mode & 0o777).toBe(0o600);
  });

  it('dev: the command sees where the gateway is, for every kind of client, which is printed', async () => {
    const print = 'console.log(["OLLAMESH_URL", "OLLAMA_HOST", "OPENAI_BASE_URL", "OPENAI_API_KEY"].map((name) => process.env[name]).join(" "))';
    const { code, stdout, stderr } = await ollamesh(['dev', '--', process.execPath, '-e', print], { env: mesh.env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${mesh.url} ${mesh.url} ${mesh.url}/v1 ollamesh\n` });
    for (const line of [`OLLAMESH_URL=${mesh.url}`, `OLLAMA_HOST=${mesh.url}`, `OPENAI_BASE_URL=${mesh.url}/v1`, 'OPENAI_API_KEY=ollamesh']) expect(stderr).toContain(`env       ${line}\n`);
  });

  it('dev: a variable that is set already wins, unless --force', async () => {
    const env = { ...mesh.env, OLLAMA_HOST: 'http://127.0.0.1:9' };
    const print = ['--', process.execPath, '-e', 'console.log(process.env.OLLAMA_HOST)'];
    const kept = await ollamesh(['dev', ...print], { env });
    expect(kept.stdout).toBe('http://127.0.0.1:9\n');
    expect(kept.stderr).toContain('already set, kept');
    const forced = await ollamesh(['dev', '--force', ...print], { env });
    expect(forced.stdout).toBe(`${mesh.url}\n`);
  });

  it("dev: the command's exit code and arguments pass through", async () => {
    const { code, stdout } = await ollamesh(['dev', '--', process.execPath, '-e', 'console.log(process.argv.slice(1).join("|")); process.exit(37)', '--', '--port', 'a b', '--help'], { env: mesh.env });
    expect({ code, stdout }).toEqual({ code: 37, stdout: '--port|a b|--help\n' });
  });

  it('dev: SIGTERM reaches the command, whose own end decides the exit code', async () => {
    const program = runNode([CLI, 'dev', '--', process.execPath, '-e', 'process.on("SIGTERM", () => { console.log("told"); process.exit(5); }); console.log("up"); setInterval(() => {}, 1000)'], { env: mesh.env });
    await untilSaid(program, 'up\n');
    expect(await program.end('SIGTERM')).toEqual({ code: 5, signal: null });
    expect(program.stdout).toBe('up\ntold\n');
  });

  it('dev: a missing program is an error that names it', async () => {
    const { code, stderr } = await ollamesh(['dev', '--', 'no-such-program-here'], { env: mesh.env });
    expect(code).not.toBe(0);
    expect(stderr).toContain('There is no program "no-such-program-here"');
  });

  it('page: is served at / and needs nothing from other sites', async () => {
    const { status, headers, text } = await ask(`${mesh.url}/`, { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('text/html');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(text).not.toMatch(/(src|href)="https?:/);
  });

  it('docs: the surface is described as OpenAPI', async () => {
    const { paths } = (await ask(`${mesh.url}/docs-json`)).json<{ paths: Record<string, unknown> }>();
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/streams', '/streams/{id}', '/models', '/models/pull', '/engine', '/hardware', '/events', '/health', '/ready']));
  });
});

describe('no mesh runs', () => {
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await temporaryFolder();
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));
  const env = () => ({ ...BARE, OLLAMESH_DATA_DIR: dataDir, OLLAMESH_GATEWAY_PORT: '0', OLLAMESH_ENGINE: 'embedded', OLLAMESH_BACKGROUND_GRACE_MS: '500' });

  it('status: says so, exit code 1', async () => {
    expect(await ollamesh(['status'], { env: env() })).toMatchObject({ code: 1, stdout: expect.stringContaining('ollamesh up') });
    expect(await ollamesh(['status', '--json'], { env: env() })).toMatchObject({ code: 1, stdout: '{"running":false}\n' });
  });

  it('status: a run file left by a mesh that is gone fools nobody', async () => {
    const mesh = await startMesh({ dataDir, env: BARE });
    const orphans = descendantsOf(mesh.pid);
    await mesh.program.end('SIGKILL');
    expect(existsSync(join(dataDir, 'run.json'))).toBe(true);
    expect(await ollamesh(['status'], { env: env() })).toMatchObject({ code: 1, stdout: expect.stringContaining('No mesh runs') });
    for (const pid of orphans) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });

  it('chat: starts a mesh in the background, answers, and nothing of it stays once its grace is over', async () => {
    const program = runNode([CLI, 'chat', QUESTION], { env: env() });
    const { pid } = await until('the mesh can be found', () => readRunFile(dataDir), 45_000);
    const descendants = descendantsOf(pid);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.stdout).toBe(`${ANSWER}\n`);
    await until('the mesh has ended', () => !isAlive(pid), 20_000);
    expect(descendants.filter(isAlive)).toEqual([]);
    expect((await readdir(dataDir)).filter((name) => name.startsWith('run.json'))).toEqual([]);
    expect(await ollamesh(['status'], { env: env() })).toMatchObject({ code: 1 });
  });

  it('up: plain lines where standard output is no terminal, in order: what was found, what was chosen, the addresses', async () => {
    const program = runNode([CLI, 'up'], { env: env() });
    await untilSaid(program, 'curl -N');
    const url = /Page +(\S+)\//.exec(program.stdout)?.[1] ?? '';
    expect((await readSse(`${url}/streams`, { body: { prompt: QUESTION } })).at(-1)).toMatchObject({ event: 'done' });
    expect(program.stdout).not.toContain('\u001B[');
    const lines = program.stdout.split('\n').map((line) => line.trim());
    const place = (pattern: RegExp) => lines.findIndex((line) => pattern.test(line));
    const end = [/^models .*guide:latest \(default\)/, /^models .*tiny built-in model/, /^Ready after/, /^Page/, /^API/, /^Try/];
    const places = [/^bus .*built-in NATS broker/, /^engine .*✓ embedded:/, /^gateway .*listens on/, /^engine .*is ready/, ...end].map(place);
    expect(places.filter((index) => index < 0)).toEqual([]);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(place(/^hardware .*cores/)).toBeGreaterThanOrEqual(0);
    expect(place(/^hardware .*cores/)).toBeLessThan(place(/^Ready after/)); // Reading it may take longer than the engine's start.
    expect(await program.end('SIGINT')).toEqual({ code: 0, signal: null });
    expect(existsSync(join(dataDir, 'run.json'))).toBe(false);
  });

  it('up: a taken port moves the gateway to the next free one, and says so', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const program = runNode([CLI, 'up', '--port', String(port)], { env: env() });
    await untilSaid(program, 'curl -N');
    const [, url, chosen] = /listens on (http:\/\/127\.0\.0\.1:(\d+))/.exec(program.stdout) ?? [];
    expect(Number(chosen)).toBeGreaterThan(port);
    expect(program.stdout).toContain(`port ${port} is taken, so it listens on ${chosen}`);
    expect((await ask(`${url}/health`)).status).toBe(200);
    await program.end('SIGINT');
    taken.close();
  });
});

describe('the command line', () => {
  it.each([[[]], [['up']], [['chat']], [['models']], [['pull']], [['status']], [['dev']]])('--help: %j says how it is used', async (command: string[]) => {
    const { code, stdout, stderr } = await ollamesh([...command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: ollamesh${command.map((word) => ` ${word}`).join('')}`));
  });

  it.each([[['frobnicate']], [['up', '--frobnicate']], [['chat', '--frobnicate']], [['up', '--engine', 'steam']]])('mistakes: %j is an error that names it, exit code 1', async (args: string[]) => {
    const { code, stdout, stderr } = await ollamesh(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(args.at(-1));
  });

  it('mistakes: a wrong variable names the nearest right one', async () => {
    const { code, stderr } = await ollamesh(['up'], { env: { OLLAMESH_GATEWAY_PROT: '1' } });
    expect(code).toBe(1);
    expect(stderr).toContain('OLLAMESH_GATEWAY_PORT');
  });

  it('mistakes: a named gateway that does not answer is an error, no mesh is started', async () => {
    const { code, stderr } = await ollamesh(['chat', '--url', 'http://127.0.0.1:9', 'Hello!']);
    expect(code).toBe(1);
    expect(stderr).toContain('http://127.0.0.1:9');
  });
});
