/** What helps hands at a terminal: completion in a real shell, and a config file to begin with. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { configFileText } from '../../apps/cli/init-file.js';
import { loadConfig } from '#config';
import { ollamesh } from '../support/program.js';

const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;

describe('completion', () => {
  async function inBash(...words: string[]): Promise<string[]> {
    const { stdout: script } = await ollamesh(['completion', 'bash']);
    const ask = `COMP_WORDS=(ollamesh "$@"); COMP_CWORD=$#; _ollamesh; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', `${script}\n${ask}`, 'bash', ...words], { encoding: 'utf8' }).split('\n').slice(0, -1);
  }

  it.each([
    [['ch'], ['chat']],
    [['keys', 'cr'], ['create']],
    [['up', '--det'], ['--detach']],
    [['up', '--back'], ['']],
    [['up', '--engine', 'emb'], ['embedded']],
    [['up', '--engine', 'embedded', '--engine-'], ['--engine-url']],
    [['completion', 'z'], ['zsh']],
    [['dev', '--', 'ch'], ['']],
  ])('bash: %j is completed to %j', async (words, completed) => {
    expect(await inBash(...words)).toEqual(completed);
  });

  it('bash: every command of --help is offered', async () => {
    const { stdout } = await ollamesh(['--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)[ |\n]/gm)].map(([, name]) => name).filter((name) => name !== 'help');
    expect(commands.length).toBeGreaterThan(15);
    expect(await inBash('')).toEqual(expect.arrayContaining(commands));
  });

  /** What zsh's function offers for `words`: the parts of zsh's completion that it calls are replaced, since they need a terminal. */
  async function inZsh(...words: string[]): Promise<string[]> {
    const { stdout: script } = await ollamesh(['completion', 'zsh']);
    const shell = `compdef() {}; _files() { print -- files }; _describe() { print -l -- "\${(@P)2}" }`;
    const offered = execFileSync('zsh', ['-f', '-c', `${shell}\n${script}\nwords=(ollamesh "$@"); CURRENT=$#words; _ollamesh`, 'zsh', ...words], { encoding: 'utf8' });
    return offered.split('\n').map((line) => line.replace(/:.*$/, '')).filter((word) => word !== '' && word.startsWith(words.at(-1) ?? ''));
  }

  async function inFish(...words: string[]): Promise<string[]> {
    const { stdout: script } = await ollamesh(['completion', 'fish']);
    const offered = execFileSync('fish', ['--no-config', '-c', `${script}\ncomplete -c ollamesh -f\ncomplete -C "ollamesh $argv"`, ...words], { encoding: 'utf8' });
    return offered.split('\n').map((line) => line.replace(/\t.*$/, '')).filter((word) => word !== '');
  }

  const CASES: [string[], string[]][] = [
    [['ch'], ['chat']],
    [['keys', 'cr'], ['create']],
    [['up', '--det'], ['--detach']],
    [['up', '--engine', 'emb'], ['embedded']],
    [['up', '--engine', 'embedded', '--engine-'], ['--engine-url']],
    [['completion', 'z'], ['zsh']],
  ];
  (has('zsh') ? it : it.skip).each(CASES)('zsh: %j is completed to %j', async (words, completed) => {
    expect(await inZsh(...words)).toEqual(completed);
  });
  (has('fish') ? it : it.skip).each(CASES)('fish: %j is completed to %j', async (words, completed) => {
    expect(await inFish(...words)).toEqual(completed);
  });
  (has('zsh') ? it : it.skip)('zsh: behind -- files are offered, as the command is another one\'s', async () => {
    expect(await inZsh('dev', '--', '')).toEqual(['files']);
  });

  it('a shell that is none is an error that names those there are', async () => {
    expect(await ollamesh(['completion', 'tcsh'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('bash') });
  });
});

describe('init', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ollamesh-test-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const load = () => loadConfig({ cwd: folder, env: {} });

  it('writes a file that loads, with models that fit; a second time it changes nothing, edited or not, without --force', async () => {
    expect(await ollamesh(['init'], { cwd: folder })).toMatchObject({ code: 0, stdout: expect.stringContaining('ollamesh.config.ts is written') });
    const text = await readFile(join(folder, 'ollamesh.config.ts'), 'utf8');
    expect(text).toMatch(/\/\/ {3}\S+ +\d+\.\d GiB {2}(partly )?on the (GPU|CPU)/);
    expect((await load()).config.gateway.port).toBe(11_435);
    for (const mine of [text, `${text}// mine\n`]) {
      await writeFile(join(folder, 'ollamesh.config.ts'), mine);
      expect(await ollamesh(['init'], { cwd: folder })).toMatchObject({ code: 0, stdout: 'ollamesh.config.ts is here already and stays as it is. To write it anew: ollamesh init --force\n' });
      expect(await readFile(join(folder, 'ollamesh.config.ts'), 'utf8')).toBe(mine);
    }
    expect(await ollamesh(['init', '--force'], { cwd: folder })).toMatchObject({ code: 0 });
    expect(await readFile(join(folder, 'ollamesh.config.ts'), 'utf8')).not.toContain('// mine');
  }, 60_000);

  it('another config file of the folder is left alone', async () => {
    await writeFile(join(folder, 'ollamesh.config.json'), '{}');
    expect(await ollamesh(['init'], { cwd: folder })).toMatchObject({ code: 0, stdout: 'ollamesh.config.json is here already and stays as it is.\n' });
    expect(await ollamesh(['init', '--force'], { cwd: folder })).toMatchObject({ code: 1, stderr: expect.stringContaining('ollamesh.config.json') });
  });

  it('a machine that nothing fits, and the settings once they are wanted', async () => {
    const model = { model: 'qwen3:4b', fit: 'gpu' as const, needsBytes: 3 * 1024 ** 3, readsBytes: 1, gpuPercent: 100, tasks: ['chat'] };
    expect(configFileText({ models: [{ ...model, fit: 'no' }] })).toContain('No model of the catalogue fits');
    const text = configFileText({ models: [model], recommended: 'qwen3:4b' });
    expect(text).toContain('qwen3:4b    3.0 GiB  on the GPU  (chat)');
    await writeFile(join(folder, 'ollamesh.config.ts'), text.replaceAll(/\/\/ (default|required|url):/g, '$1:'));
    expect((await load()).config).toMatchObject({ models: { default: 'qwen3:4b', required: ['qwen3:4b'] }, engine: { url: 'http://127.0.0.1:11434' } });
  });
});
