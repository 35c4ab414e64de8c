/** One mesh per user in the background: commands find it, keep it while they live, and what an earlier one left behind fools nobody. */
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { type RunFile, readRunFile } from '../../apps/cli/run-file.js';
import { type BackgroundFolder, backgroundFolder, gone } from '../support/background-mesh.js';
import { ask } from '../support/http-client.js';
import { HAS_PROC, descendantsOf, engineBelow, isAlive } from '../support/process-table.js';
import { CLI, type Program, ollamesh, runNode, untilSaid } from '../support/program.js';
import { until } from '../support/until.js';

const TELL = 'console.log(`at ${process.env.OLLAMESH_URL}.`);';
const STAY = [process.execPath, '-e', `${TELL} setInterval(() => {}, 1000)`];
const LEAVE = [process.execPath, '-e', TELL];

function dev({ env }: BackgroundFolder, command: readonly string[] = STAY, cwd?: string): Program {
  return runNode([CLI, 'dev', '--', ...command], { env, ...(cwd !== undefined && { cwd }) });
}

async function urlSeen(program: Program): Promise<string> {
  await untilSaid(program, /at \S+\.\n/, 45_000);
  return /at (\S+)\.\n/.exec(program.stdout)?.[1] ?? '';
}

const runOf = async ({ dataDir }: BackgroundFolder) => (await readRunFile(dataDir)) as RunFile;
const rewrite = ({ dataDir }: BackgroundFolder, run: object) => writeFile(join(dataDir, 'run.json'), JSON.stringify(run), { mode: 0o600 });

describe('background mesh', () => {
  it('lease: the first command starts it, a second in another folder joins, and it ends after the last one', async () => {
    await using folder = await backgroundFolder();
    const elsewhere = await mkdtemp(join(tmpdir(), 'ollamesh-test-'));
    const first = dev(folder);
    const url = await urlSeen(first);
    const pid = await folder.pid();
    const second = dev(folder, STAY, elsewhere);
    expect(await urlSeen(second)).toBe(url);
    await first.end('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // Longer than the grace: the second still holds it.
    expect((await ask(`${url}/health`)).status).toBe(200);
    await second.end('SIGTERM');
    await gone(pid);
    expect(readdirSync(folder.dataDir).filter((name) => name.startsWith('run.json'))).toEqual([]);
    await rm(elsewhere, { recursive: true });
  }, 90_000);

  it('lease: a terminal closed without Ctrl-C ends it too, and its engine', async () => {
    await using folder = await backgroundFolder();
    const command = dev(folder);
    await urlSeen(command);
    const pid = await folder.pid();
    const engine = engineBelow(pid);
    expect(engine === undefined).toBe(!HAS_PROC);
    const below = descendantsOf(command.pid);
    command.child.kill('SIGKILL');
    await gone(pid);
    if (engine !== undefined) await gone(engine);
    for (const orphan of below.filter(isAlive)) process.kill(orphan, 'SIGKILL'); // A terminal would have told it.
  }, 90_000);

  it('start: commands at the same instant start exactly one mesh', async () => {
    await using folder = await backgroundFolder();
    const commands = [dev(folder), dev(folder), dev(folder)];
    const urls = await Promise.all(commands.map(urlSeen));
    expect(new Set(urls).size).toBe(1);
    const { pid } = await runOf(folder);
    if (HAS_PROC) expect(backgroundMeshesOf(folder.dataDir)).toEqual([pid]);
    for (const command of commands) await command.end('SIGTERM');
    await gone(pid);
  }, 90_000);

  it('up -d: holds it until down, whoever comes and goes; logs shows what it logged', async () => {
    await using folder = await backgroundFolder();
    const up = await ollamesh(['up', '-d', '--json'], { env: folder.env });
    expect(up).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\{"what":"running","url":"http/) });
    const pid = await folder.pid();
    expect(await ollamesh(['dev', '--', ...LEAVE], { env: folder.env })).toMatchObject({ code: 0 });
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // Longer than the grace.
    expect(isAlive(pid)).toBe(true);
    const { url } = await runOf(folder);
    expect(await ollamesh(['logs'], { env: folder.env })).toMatchObject({ code: 0, stdout: expect.stringContaining(`The mesh runs at ${url}.`) });
    expect(await ollamesh(['down'], { env: folder.env })).toMatchObject({ code: 0, stdout: 'The mesh has ended.\n' });
    expect(isAlive(pid)).toBe(false);
    expect(await ollamesh(['down'], { env: folder.env })).toMatchObject({ code: 0, stdout: 'No mesh runs.\n' });
  }, 90_000);

  it('up -d: holds a mesh that a command had started', async () => {
    await using folder = await backgroundFolder();
    const command = dev(folder);
    await urlSeen(command);
    const pid = await folder.pid();
    await ollamesh(['up', '-d'], { env: folder.env });
    await command.end('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // Longer than the grace.
    expect(isAlive(pid)).toBe(true);
  }, 90_000);

  it('isolated: a project has its own mesh beside the user\'s', async () => {
    await using folder = await backgroundFolder();
    const shared = dev(folder);
    const own = runNode([CLI, 'dev', '--isolated', '--', ...STAY], { env: folder.env });
    expect(await urlSeen(own)).not.toBe(await urlSeen(shared));
    expect(await ollamesh(['down', '--isolated'], { env: folder.env })).toMatchObject({ stdout: 'The mesh has ended.\n' });
    expect((await ask(`${await urlSeen(shared)}/health`)).status).toBe(200);
    await own.end('SIGTERM');
    await shared.end('SIGTERM');
  }, 90_000);
});

describe('dev, where no engine answers yet', () => {
  /** Held open, and never answered: an engine that takes its time. */
  async function silentEngine() {
    const held = new Set<Socket>();
    let [answers, asked] = [false, 0];
    const server = createHttpServer((_request, response) => {
      asked++;
      if (answers) response.end('{"version":"0.9.9","models":[]}');
    });
    server.on('connection', (socket) => held.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const close = () => {
      server.close();
      for (const socket of held) socket.destroy();
    };
    return { env: { OLLAMESH_ENGINE: 'external', OLLAMESH_ENGINE_URL: url }, answer: () => (answers = true), asked: () => asked, [Symbol.dispose]: close };
  }

  it('the command starts at once, and is told beside it how it stands', async () => {
    using engine = await silentEngine();
    await using folder = await backgroundFolder(engine.env);
    const command = dev(folder);
    await urlSeen(command);
    await until('it is told that none answers', () => command.stderr.includes('None answers yet'));
    expect(command.stderr).not.toContain('It answers.');
    engine.answer();
    await until('it is told that one answers', () => command.stderr.includes('engine    It answers.'), 60_000);
    await command.end('SIGTERM');
  }, 120_000);

  it('with --wait it starts after it', async () => {
    using engine = await silentEngine();
    await using folder = await backgroundFolder(engine.env);
    const look = `const { nodes } = await (await fetch(process.env.OLLAMESH_URL + '/engine')).json(); console.log(nodes.some(({ url }) => url !== undefined))`;
    const command = runNode([CLI, 'dev', '--wait', '--', process.execPath, '--input-type=module', '-e', look], { env: folder.env });
    await until('the mesh listens', () => command.stderr.includes('gateway   listens'), 45_000);
    const before = engine.asked();
    await until('the engine was asked again', () => engine.asked() > before + 1, 60_000); // A command that did not wait would have looked by now.
    engine.answer();
    await command.exited;
    expect(command.stdout).toBe('true\n');
  }, 120_000);
});

describe('a run file that is not true', () => {
  const STALE = { url: 'http://127.0.0.1:9', version: '0.0.0', startedAt: '2026-01-01T00:00:00.000Z', operatorToken: 'o'.repeat(32), control: { port: 9, secret: 's'.repeat(32) } };

  it.each([
    ['whose process is gone', { ...STALE, pid: 2 ** 22 + 1 }],
    ['whose number another process has by now', { ...STALE, pid: process.pid, identity: 'another one @1' }],
    ['of a start that was cut off', { pid: 2 ** 22 + 1 }],
    ['that makes no sense', { hello: 'world' }],
  ])('%s: it is settled, and a mesh starts', async (_what, run) => {
    await using folder = await backgroundFolder();
    await rewrite(folder, run);
    expect(await ollamesh(['status'], { env: folder.env })).toMatchObject({ code: 1, stdout: expect.stringContaining('No mesh runs') });
    const { code, stdout } = await ollamesh(['dev', '--', ...LEAVE], { env: folder.env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^at http:\/\/127\.0\.0\.1:\d+\.\n$/);
    expect(stdout).not.toContain(STALE.url);
  }, 60_000);

  it('whose port somebody else has by now: nothing of it is believed, and its secret is not told', async () => {
    await using folder = await backgroundFolder();
    let heard = '';
    const stranger = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (text) => {
        heard += text.toString();
        socket.write('{"nonce":"0123456789abcdefgh","proof":"x"}\n{"ok":true}\n');
      });
    });
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const { port } = stranger.address() as AddressInfo;
    await rewrite(folder, { ...STALE, pid: 2 ** 22 + 1, url: `http://127.0.0.1:${port}`, control: { ...STALE.control, port } });
    expect(await ollamesh(['status'], { env: folder.env })).toMatchObject({ code: 1, stdout: expect.stringContaining('No mesh runs') });
    expect(heard).toContain('nonce');
    expect(heard).not.toContain(STALE.control.secret);
    expect(heard).not.toContain(STALE.operatorToken);
    stranger.close();
  }, 60_000);

  it('with a wrong secret: the mesh lets nobody in, and down ends it all the same', async () => {
    await using folder = await backgroundFolder();
    await ollamesh(['up', '-d'], { env: folder.env });
    const run = await runOf(folder);
    await rewrite(folder, { ...run, control: { ...run.control, secret: 's'.repeat(32) } });
    expect(await ollamesh(['status'], { env: folder.env })).toMatchObject({ code: 1, stdout: expect.stringContaining('No mesh runs') });
    expect(await saidTo(run.control.port, { nonce: 'n'.repeat(24) }, { proof: 'p'.repeat(43), wish: 'stop' })).toMatch(/^\{"nonce":"[^"]+","proof":"[^"]+"\}\n$/);
    expect(isAlive(run.pid)).toBe(true);
    expect(await ollamesh(['down'], { env: folder.env })).toMatchObject({ code: 0, stdout: 'The mesh has ended.\n' });
    expect(isAlive(run.pid)).toBe(false);
  }, 60_000);
});

describe('no mesh reachable', () => {
  it('dev: says what to do, and the command still runs', async () => {
    const named = await ollamesh(['dev', '--url', 'http://127.0.0.1:9', '--', ...LEAVE]);
    expect(named).toMatchObject({ code: 0, stdout: 'at undefined.\n', stderr: expect.stringMatching(/No ollamesh gateway answers at http:\/\/127\.0\.0\.1:9[\s\S]*ollamesh doctor/) });
    const nowhere = await ollamesh(['dev', '--', ...LEAVE], { env: { OLLAMESH_DATA_DIR: '/dev/null/data' } });
    expect(nowhere).toMatchObject({ code: 0, stdout: 'at undefined.\n', stderr: expect.stringMatching(/data folder[\s\S]*ollamesh doctor/) });
  }, 60_000);

  it('dev: says so when the mesh ends while the command runs', async () => {
    await using folder = await backgroundFolder();
    const command = dev(folder);
    await urlSeen(command);
    await ollamesh(['down'], { env: folder.env });
    await command.end('SIGTERM');
    expect(command.stderr).toContain('The mesh has ended.');
  }, 60_000);
});

/** What a mesh says to whoever sends these lines, until it closes the connection. */
async function saidTo(port: number, ...lines: object[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.setEncoding('utf8').on('data', (text: string) => (said += text));
  for (const line of lines) socket.write(`${JSON.stringify(line)}\n`);
  await once(socket, 'close');
  return said;
}

/** Processes that are, or were about to be, the background mesh of a data folder. */
function backgroundMeshesOf(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--background') && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(dataDir);
      } catch {
        return false; // It ended meanwhile.
      }
    })
    .map(Number);
}
