/** Service definitions: what they may say, where they may come from, and a repository that is fetched once. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MeshError } from '#contracts';
import { Config } from '#config';
import { checkOut } from './checkout.js';
import { parseDefinition } from './definition.js';
import { applyDefinition, findService, OWN_SERVICE } from './describe.js';
import { parseSource } from './source.js';

const PLAIN = `
name: "ollama-service"
version: "1.0.0"
description: "Ollama in a container"
docker:
  image: "ollama/ollama:latest"
  ports: [11434]
capabilities: [text-to-text, text-to-embedding]
`;
const refusal = async (work: () => unknown): Promise<MeshError> => Promise.resolve().then(work).then(() => Promise.reject(new Error('it was allowed')), (thrown: MeshError) => thrown);

describe('definition', () => {
  it('the plain form: everything it says is there, unchanged', () => {
    expect(parseDefinition(PLAIN, 'x')).toEqual({
      name: 'ollama-service', version: '1.0.0', description: 'Ollama in a container',
      docker: { image: 'ollama/ollama:latest', ports: [11434] }, capabilities: ['text-to-text', 'text-to-embedding'],
    });
  });

  it('env, volumes, health and ports with a host side are read', () => {
    const text = `${PLAIN.replace('[11434]', '["8080:11434", 9]')}`.replace('capabilities', '  env: {OLLAMA_DEBUG: 1}\n  volumes: ["models:/root/.ollama"]\n  health: {timeoutSeconds: 20}\ncapabilities');
    expect(parseDefinition(text, 'x').docker).toEqual({
      image: 'ollama/ollama:latest', ports: [11434, 9], env: { OLLAMA_DEBUG: '1' }, volumes: ['models:/root/.ollama'], health: { timeoutSeconds: 20 },
    });
  });

  it.each([
    ['an unknown key', `${PLAIN}priviliged: true`, 'unknown: priviliged', ''],
    ['an unknown key inside', PLAIN.replace('image:', 'privileged: true\n  image:'), 'docker: unknown: privileged', 'docker'],
    ['no image', PLAIN.replace(/ {2}image.*\n/, ''), 'docker.image', 'docker.image'],
    ['an option for an image', PLAIN.replace('ollama/ollama:latest', '--privileged'), 'not an image name', 'docker.image'],
    ['a port beyond all ports', PLAIN.replace('[11434]', '[70000]'), 'docker.ports.0', 'docker.ports.0'],
    ['a folder of the host', PLAIN.replace('capabilities', '  volumes: ["/:/host"]\ncapabilities'), 'folders of the host are not allowed', 'docker.volumes.0'],
    ['a variable with a line in its name', PLAIN.replace('capabilities', '  env: {"A=B\\nC": x}\ncapabilities'), 'not the name of a variable', 'docker.env.A=B\nC'],
    ['no YAML', '{', 'is no YAML', undefined],
    ['a list', '- a', 'expected object', ''],
    ['a page too long', `${PLAIN}#${'x'.repeat(70_000)}`, 'longer than', undefined],
  ])('refused: %s', async (_, text, reason, field) => {
    const error = await refusal(() => parseDefinition(text, 'my.service.yml'));
    expect(error).toMatchObject({ code: 'invalid_request', message: expect.stringContaining('my.service.yml') });
    expect(error.message).toContain(reason);
    expect(error.details?.['field']).toBe(field);
  });
});

describe('what the docker driver makes of it', () => {
  const configured = Config.parse({ engine: { env: { OLLAMA_DEBUG: '2' } } }).engine;

  it('image, port, environment, volumes and patience are the definition’s; the configuration has the last word on the environment', () => {
    const text = PLAIN.replace('[11434]', '[8080, 9]').replace('capabilities', '  env: {OLLAMA_DEBUG: 1, A: b}\n  volumes: ["m:/root/.ollama", "cache:/cache"]\n  health: {timeoutSeconds: 20}\ncapabilities');
    expect(applyDefinition(configured, parseDefinition(text, 'x'))).toMatchObject({
      config: { image: 'ollama/ollama:latest', env: { OLLAMA_DEBUG: '2', A: 'b' }, volume: 'm', startTimeoutMs: 20_000 },
      layout: { port: 8080, models: '/root/.ollama', mounts: [{ volume: 'cache', target: '/cache' }] },
    });
  });

  it('the definition that comes with ollamesh makes what is made without one', async () => {
    const { definition } = await findService(OWN_SERVICE, tmpdir());
    expect(applyDefinition(configured, definition)).toEqual({ config: configured, layout: { port: 11434, models: '/root/.ollama', mounts: [] } });
  });
});

describe('source', () => {
  it.each([
    ['./a.service.yml', { kind: 'path', path: './a.service.yml' }],
    ['github:ollama/ollama', { kind: 'git', url: 'https://github.com/ollama/ollama.git', ref: undefined }],
    ['github:some-one/x.y#v1.2', { kind: 'git', url: 'https://github.com/some-one/x.y.git', ref: 'v1.2' }],
    ['git:https://example.org/a.git#feature/x', { kind: 'git', url: 'https://example.org/a.git', ref: 'feature/x' }],
    ['git:git@example.org:team/a.git', { kind: 'git', url: 'git@example.org:team/a.git', ref: undefined }],
  ])('%s', (text, source) => expect(parseSource(text)).toEqual(source));

  it.each([
    '', 'https://example.org/a.git', 'git:--upload-pack=touch x', 'git:ext::sh -c x', 'git:-u', 'git:https://me:secret@example.org/a', 'git:git@host:-oProxyCommand=x',
    'git:https://example.org/a#--orphan', 'git:https://example.org/a#a..b', 'git:https://example.org/a#', 'git:http://example.org/a', 'github:a', 'github:a/b/c', 'github:-a/b', 'github:../x',
  ])('refused: %s', async (text) => {
    expect(await refusal(() => parseSource(text))).toMatchObject({ code: 'invalid_request', details: { field: 'source' } });
  });
});

describe('checkout', () => {
  let folder = '';
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'ollamesh-services-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org', '-c', 'init.defaultBranch=main', ...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  /** A working copy with these files, pushed to a bare repository. @returns the commit */
  const push = (files: Record<string, string>): string => {
    if (!readdirSync(folder).includes('work')) {
      git('init', '--quiet', '--bare', 'origin.git');
      git('clone', '--quiet', 'origin.git', 'work');
      git('-C', 'work', 'checkout', '--quiet', '-B', 'main');
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'work', name), text);
    git('-C', 'work', 'add', '--all');
    git('-C', 'work', 'commit', '--quiet', '--message', 'next');
    git('-C', 'work', 'push', '--quiet', '--force', 'origin', 'main');
    git('-C', 'origin.git', 'symbolic-ref', 'HEAD', 'refs/heads/main');
    return git('-C', 'work', 'rev-parse', 'HEAD');
  };
  const source = (ref = ''): ReturnType<typeof parseSource> => parseSource(`git:file://${folder}/origin.git${ref}`);
  const cache = (): string => join(folder, 'cache');

  it('a repository: fetched once, used without it, fetched again when asked to', async () => {
    const first = push({ 'ollama.service.yml': PLAIN });
    expect(await checkOut(source(), cache())).toMatchObject({ commit: first, definition: { version: '1.0.0' } });
    const second = push({ 'ollama.service.yml': PLAIN.replace('1.0.0', '2.0.0') });
    expect(await checkOut(source(), cache())).toMatchObject({ commit: first, definition: { version: '1.0.0' } });
    expect(await checkOut(source(), cache(), { refresh: true })).toMatchObject({ commit: second, definition: { version: '2.0.0' } });
    rmSync(join(folder, 'origin.git'), { recursive: true });
    expect(await checkOut(source(), cache())).toMatchObject({ commit: second });
    expect(await refusal(() => checkOut(source(), cache(), { refresh: true }))).toMatchObject({ code: 'unavailable', retryable: true });
    expect(await checkOut(source(), cache())).toMatchObject({ commit: second });
    expect(readdirSync(cache())).toHaveLength(1);
  });

  it('a ref: a branch and a tag are what they name', async () => {
    const first = push({ 'ollama.service.yml': PLAIN });
    git('-C', 'work', 'push', '--quiet', 'origin', 'HEAD:refs/tags/v1');
    const second = push({ 'ollama.service.yml': PLAIN.replace('1.0.0', '2.0.0') });
    expect((await checkOut(source('#v1'), cache())).commit).toBe(first);
    expect((await checkOut(source('#main'), cache())).commit).toBe(second);
    expect(await refusal(() => checkOut(source('#nothing'), cache()))).toMatchObject({ code: 'unavailable' });
  });

  it('a repository that can’t be used leaves nothing behind, and what was there', async () => {
    push({ 'ollama.service.yml': 'name: 5' });
    expect(await refusal(() => checkOut(source(), cache()))).toMatchObject({ code: 'invalid_request' });
    expect(readdirSync(cache())).toEqual([]);
    const good = push({ 'ollama.service.yml': PLAIN });
    await checkOut(source(), cache());
    push({ 'other.service.yml': PLAIN });
    expect((await refusal(() => checkOut(source(), cache(), { refresh: true }))).message).toContain('ollama.service.yml, other.service.yml');
    expect((await checkOut(source(), cache())).commit).toBe(good);
  });

  it('links and ways out: a definition that is a link, or names a compose file elsewhere, is refused', async () => {
    writeFileSync(join(folder, 'real.service.yml'), PLAIN);
    symlinkSync(join(folder, 'real.service.yml'), join(folder, 'link.service.yml'));
    expect((await refusal(() => checkOut(parseSource(join(folder, 'link.service.yml')), cache()))).message).toContain('it is a link');
    execFileSync('mkfifo', [join(folder, 'pipe.service.yml')]);
    expect((await refusal(() => checkOut(parseSource(join(folder, 'pipe.service.yml')), cache()))).message).toContain('is no file');
    mkdirSync(join(folder, 'inside'));
    writeFileSync(join(folder, 'compose.yml'), 'services: {}');
    writeFileSync(join(folder, 'inside/a.service.yml'), `${PLAIN}compose: ../compose.yml`);
    expect(await refusal(() => checkOut(parseSource(join(folder, 'inside')), cache()))).toMatchObject({ details: { field: 'compose' } });
    writeFileSync(join(folder, 'inside/compose.yml'), 'services: {}');
    writeFileSync(join(folder, 'inside/a.service.yml'), `${PLAIN}compose: compose.yml`);
    expect(await checkOut(parseSource(join(folder, 'inside')), cache())).toMatchObject({ compose: join(folder, 'inside/compose.yml'), commit: undefined });
    execFileSync('ln', ['-s', '/etc/passwd', 'a.service.yml'], { cwd: (push({ 'README.md': '' }), join(folder, 'work')) });
    push({});
    expect(await refusal(() => checkOut(source(), cache()))).toMatchObject({ code: 'invalid_request' });
  });
});
