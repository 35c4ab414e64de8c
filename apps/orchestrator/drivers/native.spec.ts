/** The native driver with a stand-in called ollama: a real program on a real socket, found, started, ended and settled like the original. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Config, type ConfigInput } from '#config';
import { placesOf, versionIn } from '#ollama';
import { isAlive } from '../../../test/support/process-table.js';
import { until } from '../../../test/support/until.js';
import { type Candidate, type RunningEngine, type StartReport, isCandidate } from './driver.js';
import { type NativeOptions, createNativeDriver } from './native.js';

/** Answers like Ollama's server; `STUBBORN` ignores the polite end, `RUNNER` has a child like Ollama's runners. */
const STAND_IN = `#!${process.execPath}
const { createServer } = require('node:http');
const { spawn } = require('node:child_process');
if (process.argv[2] === '--version') {
  console.log('Warning: could not connect to a running Ollama instance\\nWarning: client version is ' + (process.env.STAND_IN_VERSION ?? '0.12.3'));
} else if (process.argv[2] === 'serve') {
  const [host, port] = process.env.OLLAMA_HOST.split(':');
  const runner = process.env.RUNNER ? spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)']) : undefined;
  if (process.env.STUBBORN) process.on('SIGTERM', () => console.log('not yet'));
  const { OLLAMA_HOST, OLLAMA_NOPRUNE, OLLAMA_NUM_PARALLEL, OLLAMA_DEBUG, CUDA_VISIBLE_DEVICES } = process.env;
  const server = createServer((request, response) => {
    if (request.url === '/die') process.exit(7);
    response.end(JSON.stringify({ version: '0.12.3', pid: process.pid, runner: runner?.pid, env: { OLLAMA_HOST, OLLAMA_NOPRUNE, OLLAMA_NUM_PARALLEL, OLLAMA_DEBUG, CUDA_VISIBLE_DEVICES } }));
  });
  server.on('error', (error) => { console.error('Error: listen tcp ' + process.env.OLLAMA_HOST + ': bind: address already in use'); process.exit(1); });
  server.listen(Number(port), host, () => console.log('level=INFO msg="Listening on ' + process.env.OLLAMA_HOST + '"'));
}
`;

interface Said {
  readonly pid: number;
  readonly runner?: number;
  readonly env: Record<string, string>;
}

let folder: string;
const started: RunningEngine[] = [];
const never = new AbortController().signal;
const quiet: StartReport = { acquiring: () => undefined, creating: () => undefined, starting: () => undefined };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ollamesh-native-'));
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin/ollama'), STAND_IN);
  await chmod(join(folder, 'bin/ollama'), 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let pidFile: string;
let lines: string[];
beforeEach(() => {
  pidFile = join(folder, `${Math.random()}.json`);
  lines = [];
});
afterEach(async () => {
  for (const engine of started.splice(0)) await engine.stop(0);
});

function driver(config: ConfigInput['engine'] = {}, env: Record<string, string> = {}, facts: Partial<NativeOptions> = {}) {
  return createNativeDriver({
    config: Config.parse({ engine: config }).engine,
    env: { PATH: join(folder, 'bin'), ...env },
    platform: 'linux',
    home: folder,
    pidFile,
    hasGpu: async () => false,
    log: (line) => void lines.push(line),
    ...facts,
  });
}

async function candidate(...args: Parameters<typeof driver>): Promise<Candidate> {
  const answer = await driver(...args).probe(never);
  if (!isCandidate(answer)) throw new Error(answer.notMe);
  return answer;
}

async function start(...args: Parameters<typeof driver>): Promise<{ engine: RunningEngine; said: Said }> {
  const engine = await (await candidate(...args)).start(quiet, never);
  started.push(engine);
  const said = await until('it answers', () => fetch(`${engine.url}/api/version`).then((answer) => answer.json() as Promise<Said>, () => undefined));
  return { engine, said };
}

describe('probe', () => {
  it('probe: an installed Ollama is found on the PATH, with its own version', async () => {
    expect(await candidate()).toMatchObject({ driver: 'native', found: `Ollama 0.12.3 is installed (${join(folder, 'bin/ollama')}).`, downloadBytes: 0, gpu: false });
    expect((await candidate({}, {}, { hasGpu: async () => true })).gpu).toBe(true);
    expect((await candidate({ gpu: { use: 'off' } }, {}, { hasGpu: async () => true })).gpu).toBe(false);
  });

  it('probe: none is there, one is too old, one is something else, or a GPU is required in vain', async () => {
    // Where it is installed on this very machine is none of the test's business.
    expect(await driver({}, { PATH: '/nonexistent' }, { platform: 'aix' }).probe(never)).toEqual({ driver: 'native', notMe: expect.stringContaining('not installed') });
    expect(await driver({}, { STAND_IN_VERSION: '0.3.14' }).probe(never)).toEqual({ driver: 'native', notMe: expect.stringMatching(/0\.3\.14.*0\.8\.0 is the oldest.*update/) });
    expect(await driver({}, { STAND_IN_VERSION: 'what?' }).probe(never)).toEqual({ driver: 'native', notMe: expect.stringContaining('does not say its version') });
    expect(await driver({ gpu: { use: 'required' } }).probe(never)).toEqual({ driver: 'native', notMe: expect.stringContaining('no GPU was found') });
  });

  it.each<[NodeJS.Platform, string]>([
    ['darwin', '/Applications/Ollama.app/Contents/Resources/ollama'],
    ['linux', '/usr/local/bin/ollama'],
  ])('places: on %s it is looked for where its installer puts it, after the PATH', (platform, place) => {
    const places = placesOf({ env: { PATH: '/a:/b' }, platform, home: '/home/u' });
    expect(places.slice(0, 2)).toEqual(['/a/ollama', '/b/ollama']);
    expect(places).toContain(place);
  });

  it.each([
    ['ollama version is 0.12.3', '0.12.3'],
    ['Warning: could not connect to a running Ollama instance\nWarning: client version is 0.9.0-rc1', '0.9.0-rc1'],
    ['ollama version is 0.9.0\nWarning: client version is 0.8.0', '0.8.0'],
    ['bash: no such thing', undefined],
  ])('version: of %j', (said, version) => {
    expect(versionIn(said)).toBe(version);
  });
});

describe('start', () => {
  it('start: it serves on a free loopback port with the configured settings, and its log is ours', async () => {
    const { engine, said } = await start({ parallel: 2, env: { OLLAMA_DEBUG: '1' }, gpu: { use: 'off' } });
    expect(engine.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(said.env).toEqual({ OLLAMA_HOST: new URL(engine.url).host, OLLAMA_NOPRUNE: '1', OLLAMA_NUM_PARALLEL: '2', OLLAMA_DEBUG: '1', CUDA_VISIBLE_DEVICES: '-1' });
    await until('its line is here', () => lines.some((line) => line.includes('Listening on')));
    expect(engine.lastLogLines().join()).toContain('Listening on');
  });

  it('start: the configured port, or a free one where it is taken', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as { port: number };
    try {
      const { engine } = await start({ port });
      expect(new URL(engine.url).port).not.toBe(String(port));
      await engine.stop(1_000);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
    expect((await start({ port })).engine.url).toBe(`http://127.0.0.1:${port}`);
  });

  it('start: an engine that ends at once is an error with its last words, and leaves no pid file', async () => {
    const broken = join(folder, 'broken');
    await mkdir(broken);
    await writeFile(join(broken, 'ollama'), STAND_IN.replace("=== 'serve') {", "=== 'serve') { console.error('Error: no home'); process.exit(1);"));
    await chmod(join(broken, 'ollama'), 0o755);
    const chosen = await candidate({}, { PATH: broken });
    await expect(chosen.start(quiet, never)).rejects.toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('Error: no home') });
    await expect(readFile(pidFile)).rejects.toThrow();
  });
});

describe('end', () => {
  it('stop: it ends politely, or is killed after the grace, with everything it started', async () => {
    const polite = await start();
    expect(await polite.engine.stop(5_000)).toBe('stopped');
    const { engine, said } = await start({}, { STUBBORN: '1', RUNNER: '1' });
    expect(await engine.stop(200)).toBe('killed');
    await until('its runner has ended', () => !isAlive(said.runner ?? 0));
    await expect(readFile(pidFile)).rejects.toThrow();
  });

  it('exit: one that ends by itself is told with its code, and its runners go too', async () => {
    const { engine, said } = await start({}, { RUNNER: '1' });
    await fetch(`${engine.url}/die`).catch(() => undefined);
    expect(await engine.exited).toEqual({ code: 7, signal: null, outOfMemory: false });
    await until('its runner has ended', () => !isAlive(said.runner ?? 0));
  });
});

describe('settling', () => {
  /** As if the process that owned the engine had been killed. */
  async function orphan(): Promise<{ pid: number; engine: RunningEngine }> {
    const { engine, said } = await start();
    const noted = JSON.parse(await readFile(pidFile, 'utf8')) as object;
    await writeFile(pidFile, JSON.stringify({ ...noted, owner: 2 ** 22 + 1 }));
    return { pid: said.pid, engine };
  }

  it('settling: an engine that a killed start left behind is ended by the next', async () => {
    const { pid } = await orphan();
    await start();
    expect(isAlive(pid)).toBe(false);
  });

  it('settling: neither another process of that number nor an engine that somebody owns is touched', async () => {
    const { pid } = await orphan();
    const noted = JSON.parse(await readFile(pidFile, 'utf8')) as object;
    await writeFile(pidFile, JSON.stringify({ ...noted, command: 'something else' }));
    await start();
    expect(isAlive(pid)).toBe(true);
    await writeFile(pidFile, JSON.stringify({ ...noted, owner: process.ppid }));
    await start();
    expect(isAlive(pid)).toBe(true);
  });

  it.each(['', 'no JSON', '{"pid":-1,"owner":1}', '{"pid":"1"}', '[]'])('settling: a pid file that says %j ends nobody', async (text) => {
    await writeFile(pidFile, text);
    await start();
  });
});
