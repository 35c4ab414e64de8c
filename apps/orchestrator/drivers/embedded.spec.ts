/** The built-in engine as a real child process: it starts, ends in every way, and never stays behind. Needs the build. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError } from '#contracts';
import { packageRoot } from '#package-root';
import { eventually } from '../../../test/fakes/test-bus.js';
import { describeExit } from '../health.js';
import { type Candidate, isCandidate } from './driver.js';
import { createEmbeddedDriver } from './embedded.js';

const PROGRAM = join(packageRoot(), 'dist/apps/embedded-engine/main.js');
const REPORT = { acquiring: () => undefined, creating: () => undefined, starting: () => undefined };
const WAIT = 60_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'embedded-driver-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const driver = (program: string, startTimeoutMs = WAIT, ollamaModels = join(folder, 'none')) =>
  createEmbeddedDriver({ config: { port: 0, parallel: 1, keepAlive: '5m', startTimeoutMs }, program, store: join(folder, 'store'), ollamaModels, metal: false, log: () => undefined });

async function candidate(program: string, startTimeoutMs?: number, ollamaModels?: string): Promise<Candidate> {
  const answer = await driver(program, startTimeoutMs, ollamaModels).probe(AbortSignal.timeout(WAIT));
  if (!isCandidate(answer)) throw new Error(`not a candidate: ${answer.notMe}`);
  return answer;
}

/** A program in the engine's place; its pid is in the file it gets as PID_FILE. */
async function script(name: string, code: string): Promise<{ program: string; pid: () => Promise<number> }> {
  const [program, pidFile] = [join(folder, `${name}.mjs`), join(folder, `${name}.pid`)];
  await writeFile(program, `import { writeFileSync } from 'node:fs';\nwriteFileSync(${JSON.stringify(pidFile)}, String(process.pid));\n${code}\n`);
  return {
    program,
    pid: async () => {
      await eventually(() => existsSync(pidFile));
      return Number(await readFile(pidFile, 'utf8'));
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH: nobody of that number.
  }
}

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  const thrown: unknown = await promise.then(() => undefined, (error: unknown) => error);
  if (!(thrown instanceof MeshError)) throw new Error(`expected a MeshError, got ${String(thrown)}`);
  return thrown;
}

const built = existsSync(PROGRAM) ? it : it.skip;

built('models of an Ollama: are listed beside its own', async () => {
  const ollamaModels = join(folder, 'ollama');
  const seeded = await (await candidate(PROGRAM)).start(REPORT, AbortSignal.timeout(WAIT));
  await seeded.stop(10_000);
  await cp(join(folder, 'store'), ollamaModels, { recursive: true });
  await rename(join(ollamaModels, 'manifests/registry.ollama.ai/library/guide'), join(ollamaModels, 'manifests/registry.ollama.ai/library/theirs'));
  const engine = await (await candidate(PROGRAM, WAIT, ollamaModels)).start(REPORT, AbortSignal.timeout(WAIT));
  const { models } = (await (await fetch(`${engine.url}/api/tags`)).json()) as { models: { name: string }[] };
  await engine.stop(10_000);
  expect(models.map(({ name }) => name).toSorted()).toEqual(['guide:latest', 'theirs:latest']);
});

describe('embedded driver', () => {
  built('engine: starts, answers as Ollama does, and stops when asked (skipped where it is not built)', async () => {
    const engine = await (await candidate(PROGRAM)).start(REPORT, AbortSignal.timeout(WAIT));
    expect(await (await fetch(`${engine.url}/api/version`)).json()).toMatchObject({ version: expect.any(String) });
    expect(await engine.stop(10_000)).toBe('stopped');
    expect(await engine.exited).toMatchObject({ outOfMemory: false });
    expect(await engine.stop(0)).toBe('stopped');
    await expect(fetch(`${engine.url}/api/version`)).rejects.toThrow();
  });

  it('missing: a program that is not there is not me, with what to do', async () => {
    const program = join(folder, 'nowhere.js');
    expect(await driver(program).probe(AbortSignal.timeout(WAIT))).toEqual({ driver: 'embedded', notMe: `The built-in engine is not built: ${program} is missing. Run: npm run build` });
  });

  it('death at the start: the error brings its last words', async () => {
    const { program } = await script('dies', "process.stdout.write('some\\n'); process.stderr.write('no memory for that\\n'); process.exitCode = 3;");
    const error = await failure((await candidate(program)).start(REPORT, AbortSignal.timeout(WAIT)));
    expect(error.code).toBe('engine_unavailable');
    expect(error.message).toContain('code 3');
    expect(error.message).toContain('no memory for that');
  });

  it('silence: an engine that never says it listens is killed', async () => {
    const { program, pid } = await script('silent', 'setInterval(() => {}, 1000);');
    const error = await failure((await candidate(program, 2_000)).start(REPORT, AbortSignal.timeout(WAIT)));
    expect(error.message).toContain('did not listen within 2000 ms');
    expect(isAlive(await pid())).toBe(false);
  });

  it('abort: one in the middle of the start leaves no process', async () => {
    const { program, pid } = await script('aborted', 'setInterval(() => {}, 1000);');
    const abort = new AbortController();
    const starting = (await candidate(program)).start(REPORT, abort.signal);
    const child = await pid();
    expect(isAlive(child)).toBe(true);
    abort.abort();
    await expect(starting).rejects.toThrow();
    expect(isAlive(child)).toBe(false);
    await expect((await candidate(program)).start(REPORT, AbortSignal.abort())).rejects.toThrow();
  });

  const listens = "process.send({ type: 'listening', url: 'http://127.0.0.1:1', version: '1' }); setInterval(() => {}, 1000);";

  it('abort: the exit names the model that was being loaded, or the ones that were', async () => {
    const said = (...stages: [string, string][]) => stages.map(([model, stage]) => `process.send({ type: 'model', model: '${model}', stage: '${stage}' });`).join(' ');
    for (const [name, stages, during] of [
      ['loading', said(['a:latest', 'loading'], ['a:latest', 'loaded'], ['b:latest', 'loading']), 'while it loaded b:latest'],
      ['loaded', said(['a:latest', 'loading'], ['a:latest', 'loaded'], ['b:latest', 'loading'], ['b:latest', 'gone']), 'with a:latest loaded'],
    ] as const) {
      const { program } = await script(name, `${stages} ${listens} setTimeout(() => process.abort(), 300);`);
      const engine = await (await candidate(program)).start(REPORT, AbortSignal.timeout(WAIT));
      expect(describeExit(await engine.exited)).toBe(`it was killed by SIGABRT ${during}`);
    }
  });

  it('kill: is told as the exit, with the log', async () => {
    const { program, pid } = await script('killed', `${listens} process.stderr.write('last words');`);
    const engine = await (await candidate(program)).start(REPORT, AbortSignal.timeout(WAIT));
    await eventually(() => engine.lastLogLines().length > 0);
    process.kill(await pid(), 'SIGKILL');
    expect(await engine.exited).toEqual({ code: null, signal: 'SIGKILL', outOfMemory: false });
    expect(engine.lastLogLines()).toEqual(['last words']);
  });

  it('exit: the last lines before it are there when it is told', async () => {
    const { program, pid } = await script('exits', `process.on('SIGUSR2', () => { process.stderr.write('x'.repeat(100_000) + '\\nreason\\n', () => process.exit(7)); }); ${listens}`);
    const engine = await (await candidate(program)).start(REPORT, AbortSignal.timeout(WAIT));
    process.kill(await pid(), 'SIGUSR2');
    expect(await engine.exited).toMatchObject({ code: 7 });
    expect(engine.lastLogLines().at(-1)).toBe('reason');
  });

  it('stop: an engine that does not listen to reason is killed', async () => {
    const { program, pid } = await script('deaf', `process.on('SIGTERM', () => {}); ${listens}`);
    const engine = await (await candidate(program)).start(REPORT, AbortSignal.timeout(WAIT));
    expect(await engine.stop(50)).toBe('killed');
    expect(isAlive(await pid())).toBe(false);
  });
});
