/** The loader against real files in temporary folders. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeshError } from '#contracts';
import { ConfigError } from './config-error.js';
import { defineConfig } from './define-config.js';
import { loadConfig as load, nodeNameOf } from './load-config.js';
import type { LoadConfigOptions } from './load-config.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ollamesh-config-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const loadFrom = (files: Record<string, string>, options: Partial<LoadConfigOptions> = {}) =>
  load({ cwd: folderWith(files), env: {}, home: '/home/me', hostname: 'box.lan', ...options });

async function problemsOf(files: Record<string, string>, options: Partial<LoadConfigOptions> = {}): Promise<ConfigError> {
  const error = await loadFrom(files, options).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${String(error)}`, { cause: error });
  return error;
}

describe('defaults', () => {
  it('without anything: the schema\'s defaults, this machine\'s name and a data folder in the home folder', async () => {
    const { config, file, origins, notices } = await loadFrom({});
    expect(config).toMatchObject({ node: 'box', dataDir: '/home/me/.ollamesh', engine: { driver: 'auto' }, gateway: { host: '127.0.0.1', port: 11_435 } });
    expect({ file, origins, notices }).toEqual({ file: undefined, origins: {}, notices: [] });
  });

  it.each([
    ['Anna’s MacBook.local', 'Anna-s-MacBook'],
    ['gpu-01.example.com', 'gpu-01'],
    ['...', 'local'],
    ['', 'local'],
    ['-x-', 'x'],
  ])('node: the host name %s becomes %s', (hostname, node) => {
    expect(nodeNameOf(hostname)).toBe(node);
  });

  it('data folder: relative to the file that sets it, to the working folder from elsewhere, and ~ is the home folder', async () => {
    const folder = folderWith({ 'ollamesh.config.json': '{"dataDir": "data"}', 'other.json': '{"dataDir": "~/models"}' });
    const options = { cwd: '/', env: {}, home: '/home/me' };
    expect((await load({ ...options, file: join(folder, 'ollamesh.config.json') })).config.dataDir).toBe(join(folder, 'data'));
    expect((await load({ ...options, file: join(folder, 'other.json') })).config.dataDir).toBe('/home/me/models');
    expect((await load({ ...options, env: { OLLAMESH_DATA_DIR: 'data' } })).config.dataDir).toBe('/data');
  });
});

describe('files', () => {
  const port = 4711;
  it.each([
    ['ollamesh.config.ts', `import { defineConfig } from 'ollamesh';\nconst port: number = ${port};\nexport default defineConfig({ gateway: { port } });`],
    ['ollamesh.config.js', `module.exports = { gateway: { port: ${port} } };`],
    ['ollamesh.config.mjs', `import { defineConfig } from 'ollamesh';\nexport default defineConfig(async () => ({ gateway: { port: ${port} } }));`],
    ['ollamesh.config.json', `{ "gateway": { "port": ${port} } }`],
    ['ollamesh.config.yaml', `engine:\ngateway:\n  port: ${port}\n`],
    ['ollamesh.config.yml', `gateway: { port: ${port} }`],
  ])('%s: loads', async (name, text) => {
    const cwd = folderWith({ [name]: text });
    const { config, file, origins, notices } = await load({ cwd, env: {} });
    expect(config.gateway.port).toBe(port);
    expect(file).toBe(join(cwd, name));
    expect(origins).toEqual({ 'gateway.port': { from: 'file', name } });
    expect(notices).toEqual([]);
  });

  it.each([
    ['ollamesh.config.ts', (port: number) => `export default { gateway: { port: ${port} } };`],
    ['ollamesh.config.json', (port: number) => JSON.stringify({ gateway: { port } })],
  ])('%s: loading again sees the change', async (name, text) => {
    const cwd = folderWith({ [name]: text(1) });
    expect((await load({ cwd, env: {} })).config.gateway.port).toBe(1);
    writeFileSync(join(cwd, name), text(2));
    expect((await load({ cwd, env: {} })).config.gateway.port).toBe(2);
  });

  it('imports: a change in a file that the config imports is seen too', async () => {
    const cwd = folderWith({ 'ollamesh.config.ts': `import { port } from './port.ts';\nexport default { gateway: { port } };`, 'port.ts': 'export const port: number = 1;' });
    expect((await load({ cwd, env: {} })).config.gateway.port).toBe(1);
    writeFileSync(join(cwd, 'port.ts'), 'export const port: number = 2;');
    expect((await load({ cwd, env: {} })).config.gateway.port).toBe(2);
  });

  it('others: rc files, .env, package.json and a .config folder change nothing', async () => {
    const { config } = await loadFrom({
      '.ollameshrc': 'gateway.port=1',
      '.env': 'OLLAMESH_GATEWAY_PORT=2',
      'package.json': '{"ollamesh": {"gateway": {"port": 3}}}',
      'ollamesh.config.toml': 'gateway = 4',
      'ollamesh.config.yaml': 'log: { level: info }',
    });
    expect(config.gateway.port).toBe(11_435);
    expect(config.log.level).toBe('info');
  });

  it('several: the first by precedence counts, and the others are said to be ignored', async () => {
    const { config, notices } = await loadFrom({ 'ollamesh.config.yaml': 'node: b', 'ollamesh.config.json': '{"node": "a"}' });
    expect(config.node).toBe('a');
    expect(notices).toEqual(['ollamesh.config.yaml is ignored: ollamesh.config.json comes first.']);
  });

  it('empty: a file of comments is an empty configuration; one without an export says what it may lack', async () => {
    expect((await loadFrom({ 'ollamesh.config.yaml': '---\n# node: a\n\n' })).notices).toEqual(['ollamesh.config.yaml sets nothing.']);
    expect((await loadFrom({ 'ollamesh.config.ts': 'const config = { node: "a" };\nvoid config;' })).notices).toEqual([
      'ollamesh.config.ts sets nothing; does it have an "export default"?',
    ]);
  });

  it.each([
    ['ollamesh.config.ts', 'export default {\n  node: "a",,\n};', /^ {2}ollamesh\.config\.ts cannot be read: Unexpected token \(line 2\)$/m],
    ['ollamesh.config.mjs', '\n\nexport default { node: nope };', /ollamesh\.config\.mjs cannot be read: nope is not defined \(line 3\)$/m],
    ['ollamesh.config.ts', 'import x from "no-such-package";\nexport default x;', /ollamesh\.config\.ts cannot be read: Cannot find module 'no-such-package'/],
    ['ollamesh.config.ts', 'export default null;', /ollamesh\.config\.ts cannot be read: it holds no object/],
    ['ollamesh.config.yaml', 'node: a\nmodels: [a, b\nlog: c', /ollamesh\.config\.yaml cannot be read: missed comma .* \(line 3\)$/m],
    ['ollamesh.config.yaml', '- a\n- b', /ollamesh\.config\.yaml must hold an object, not a list/],
    ['ollamesh.config.json', '{\n "node": "a",\n "log": }\n', /ollamesh\.config\.json cannot be read: it is not valid JSON \(line 3\)$/m],
    ['ollamesh.config.json', '{\n "node": "a"\n', /it is not valid JSON \(line 3\)$/m],
    ['ollamesh.config.json', '{\n "node": "a"\n "log": {}\n}', /it is not valid JSON \(line 3\)$/m],
    ['ollamesh.config.json', '"text"', /must hold an object, not a string/],
  ])('errors: %s of %j says what and where', async (name, text, expected) => {
    const error = await problemsOf({ [name]: text });
    expect(error.message).toMatch(expected);
    expect(error.message.split('\n')).toHaveLength(2);
  });

  it('explicit: a file that is missing, or of another kind, is an error', async () => {
    expect((await problemsOf({}, { file: 'mine.yaml' })).message).toContain('mine.yaml does not exist');
    expect((await problemsOf({ 'mine.toml': 'a = 1' }, { file: 'mine.toml' })).message).toContain('mine.toml is not one of');
  });
});

describe('precedence', () => {
  it('order: flags before environment before file before defaults, and each setting says where it is from', async () => {
    const { config, origins } = await loadFrom(
      { 'ollamesh.config.yaml': 'gateway: { port: 1, host: 127.0.0.2 }\nlog: { level: info }' },
      { env: { OLLAMESH_GATEWAY_PORT: '2', OLLAMESH_LOG_LEVEL: 'debug' }, flags: [{ name: '--port', path: 'gateway.port', value: '3' }, { name: '--host', path: 'gateway.host', value: undefined }] },
    );
    expect(config).toMatchObject({ gateway: { port: 3, host: '127.0.0.2' }, log: { level: 'debug' }, engine: { driver: 'auto' } });
    expect(origins).toEqual({
      'gateway.port': { from: 'flag', name: '--port' },
      'gateway.host': { from: 'file', name: 'ollamesh.config.yaml' },
      'log.level': { from: 'environment', name: 'OLLAMESH_LOG_LEVEL' },
    });
  });

  it('files: what a config exports is not changed by what overrides it', async () => {
    const text = 'export default Object.freeze({ gateway: Object.freeze({ port: 1 }) });';
    expect((await loadFrom({ 'ollamesh.config.mjs': text }, { env: { OLLAMESH_GATEWAY_PORT: '2' } })).config.gateway.port).toBe(2);
  });

  it('others\' variables: OLLAMA_HOST that points to the mesh itself is for clients, and no engine', async () => {
    for (const host of ['127.0.0.1:11435', 'http://localhost:11435']) {
      const { config, notices } = await loadFrom({ 'ollamesh.config.yaml': 'engine: { url: "http://a:1/" }' }, { env: { OLLAMA_HOST: host } });
      expect(config.engine.url).toBe('http://a:1');
      expect(notices).toEqual([expect.stringContaining("points to this mesh's own gateway")]);
    }
    const { config } = await loadFrom({}, { env: { OLLAMA_HOST: '127.0.0.1:11435', OLLAMESH_GATEWAY_PORT: '12000' } });
    expect(config.engine.url).toBe('http://127.0.0.1:11435');
  });

  it('others\' variables: OLLAMA_HOST overrules the file, with a word', async () => {
    const { config, notices } = await loadFrom({ 'ollamesh.config.yaml': 'engine: { url: "http://a:1/" }' }, { env: { OLLAMA_HOST: 'b' } });
    expect(config.engine.url).toBe('http://b:11434');
    expect(notices).toEqual(['engine.url comes from OLLAMA_HOST, not from ollamesh.config.yaml.']);
  });

  it('values: URLs lose their last slash, seconds as text become a number, models get their tag', async () => {
    const { config } = await loadFrom({ 'ollamesh.config.yaml': 'engine: { url: "http://a:1/", keepAlive: "300" }\nmodels: { required: [phi3] }' });
    expect(config).toMatchObject({ engine: { url: 'http://a:1', keepAlive: 300 }, models: { required: ['phi3:latest'] } });
  });
});

describe('errors', () => {
  it('all at once: one line each, with the key, what is wrong, what was meant, and what to change', async () => {
    const error = await problemsOf(
      {
        'ollamesh.config.yaml': [
          'engine:',
          '  drvier: docker',
          '  image: [a]',
          '  keepAlive: soon',
          'gateway: { port: 99999, limits: { bodyBytes: 0, streams: 1.5 } }',
          'port: 1',
          'models: { required: [good, "../bad"] }',
          'bus: { token: 123456, url: localhost }',
          'log: on',
          'extends: ../base',
        ].join('\n'),
      },
      {
        env: { OLLAMESH_ENGINE: 'dokcer', OLLAMESH_GATEWAY_HOTS: 'x', OLLAMESH_MODELS_AUTO_PULL: 'maybe', OLLAMESH_ENGINE_URL: 'ftp://x' },
        flags: [{ name: '--parallel', path: 'engine.parallel', value: '0' }, { name: '--what', path: 'no.such', value: 'x' }],
      },
    );
    expect(error).toBeInstanceOf(MeshError);
    expect(error.code).toBe('invalid_request');
    expect(error.message.split('\n')).toEqual([
      'The configuration is not valid:',
      '  OLLAMESH_GATEWAY_HOTS is not a variable of ollamesh; did you mean OLLAMESH_GATEWAY_HOST?',
      '  no.such is not a known key (--what)',
      '  engine.driver must be one of auto, docker, native, external, embedded, not "dokcer"; did you mean "docker"? (OLLAMESH_ENGINE)',
      '  engine.url is not an http(s) URL (OLLAMESH_ENGINE_URL)',
      '  engine.image must be text, not a list (ollamesh.config.yaml)',
      '  engine.parallel must be at least 1, not 0 (--parallel)',
      '  engine.keepAlive is neither a duration such as "5m" nor a number of seconds (ollamesh.config.yaml)',
      '  engine.drvier is not a known key; did you mean engine.driver? (ollamesh.config.yaml)',
      '  models.required.1 is not a model name (such as "llama3.2" or "user/model:tag"): it has the namespace "..", which does not begin with a letter, digit or underscore (ollamesh.config.yaml)',
      '  models.autoPull must be true or false, not "maybe" (OLLAMESH_MODELS_AUTO_PULL)',
      '  gateway.port must be at most 65535, not 99999 (ollamesh.config.yaml)',
      '  gateway.limits.bodyBytes must be more than 0, not 0 (ollamesh.config.yaml)',
      '  gateway.limits.streams must be a whole number, not 1.5 (ollamesh.config.yaml)',
      '  bus.url is not a nats:// or tls:// URL (ollamesh.config.yaml)',
      '  bus.token must be text, not a number (ollamesh.config.yaml)',
      '  log must be a section, not "on" (ollamesh.config.yaml)',
      '  port is not a known key; did you mean engine.port? (ollamesh.config.yaml)',
      '  extends is not a known key (ollamesh.config.yaml)',
    ]);
    expect(error.toJSON().details?.['problems']).toEqual(error.problems);
  });

  it('a section that is none: stays the file\'s problem, also where a variable sets something inside it', async () => {
    const error = await problemsOf({ 'ollamesh.config.yaml': 'engine: docker' }, { env: { OLLAMESH_ENGINE_PORT: '1' } });
    expect(error.problems).toEqual([{ key: 'engine', origin: 'ollamesh.config.yaml', reason: 'must be a section, not "docker"' }]);
  });
});

describe('providers', () => {
  it('an alias of a provider that there is not, one called ollama, a key in the file: refused by name', async () => {
    const wrong = { 'ollamesh.config.yaml': 'providers: { a: { type: openai-compatible, url: "http://a/v1" } }\nrouting: { aliases: { best: ["a:m", "b:m"] } }' };
    expect((await problemsOf(wrong)).message).toContain('routing.aliases.best:latest.1 names "b", which is not in providers');
    expect((await problemsOf({ 'ollamesh.config.yaml': 'providers: { ollama: { type: openai-compatible, url: "http://a/v1" } }' })).message).toContain('providers.ollama');
    const secret = await problemsOf({ 'ollamesh.config.yaml': 'providers: { a: { type: openai-compatible, url: "http://a/v1", key: sk-secret } }' });
    expect(secret.message).toContain('providers.a.key must be a section');
    expect(secret.message).not.toContain('sk-secret');
  });

  it.each([
    ['url: "https://me:secret@a/v1"', 'providers.a.url may hold no user, password or query: a key comes from key.env or key.file'],
    ['url: "https://a/v1?key=secret"', 'providers.a.url may hold no user, password or query'],
    ['key: { }', 'providers.a.key is either { env } or { file }'],
    ['key: { env: A, file: b }', 'providers.a.key is either { env } or { file }'],
    ['features: [smell]', 'providers.a.features.0 must be one of tools, images, format, logprobs, thinking, embeddings, not "smell"'],
    ['prices: { m: { inputPerMillion: -1 } }', 'providers.a.prices.m.inputPerMillion must be at least 0, not -1'],
  ])('%s: %s', async (setting, problem) => {
    const { message } = await problemsOf({ 'ollamesh.config.yaml': `providers: { a: { type: openai-compatible, ${setting.startsWith('url') ? setting : `url: "http://a/v1", ${setting}`} } }` });
    expect(message).toContain(problem);
    expect(message).not.toContain('secret');
  });

  it.each([
    ['production: nobody', 'routing.production.0 names "nobody", which is not in providers'],
    ['development: [ollama, a]', 'routing.development.1 names no model, and providers.a has no defaultModel'],
    ['aliases: { x: ["ollama:../y"] }', 'routing.aliases.x:latest.0 names "../y", which is not a model name'],
    ['staging: ollama', 'routing.staging is not a known key'],
  ])('routing %s: %s', async (routing, problem) => {
    expect((await problemsOf({ 'ollamesh.config.yaml': `providers: { a: { type: openai-compatible, url: "http://a/v1" } }\nrouting: { ${routing} }` })).message).toContain(problem);
  });

  it('a key\'s file: from the folder of the config file, and ~ is the home folder', async () => {
    const file = (path: string) => ({ 'ollamesh.config.yaml': `providers: { a: { type: openai-compatible, url: "http://a/v1", key: { file: ${path} } } }` });
    const folder = folderWith(file('keys/a'));
    const fileOf = async (options: LoadConfigOptions) => (await load(options)).config.providers['a']?.key?.file;
    expect(await fileOf({ cwd: '/', env: {}, home: '/home/me', file: join(folder, 'ollamesh.config.yaml') })).toBe(join(folder, 'keys/a'));
    expect(await fileOf({ cwd: folderWith(file('~/a')), env: {}, home: '/home/me' })).toBe('/home/me/a');
  });
});

describe('nested form', () => {
  it('means the same as the plain one', async () => {
    const nested = `import { defineConfig } from 'ollamesh';
      export default defineConfig({ ai: {
        providers: {
          ollama: { enabled: true, url: 'http://localhost:11434', models: ['phi3', 'llama3.2'], defaultModel: 'phi3', autoStart: false, autoPull: false },
          openai: { defaultModel: 'gpt-4o-mini', baseURL: 'http://localhost:1/v1', timeoutMs: 1000, prices: { 'gpt-4o-mini': { inputPerMillion: 0.15 } } },
          groq: { models: ['llama-3.3-70b-versatile'] },
          off: { enabled: false },
        },
        routing: { development: 'ollama', production: 'openai' },
      } });`;
    const plain = JSON.stringify({
      engine: { url: 'http://localhost:11434', driver: 'external' },
      models: { required: ['phi3', 'llama3.2'], default: 'phi3', autoPull: false },
      providers: {
        openai: { type: 'openai-compatible', url: 'http://localhost:1/v1', key: { env: 'OPENAI_API_KEY' }, defaultModel: 'gpt-4o-mini', timeoutMs: 1000, prices: { 'gpt-4o-mini': { inputPerMillion: 0.15 } } },
        groq: { type: 'openai-compatible', url: 'https://api.groq.com/openai/v1', key: { env: 'GROQ_API_KEY' }, models: ['llama-3.3-70b-versatile'], defaultModel: 'llama-3.3-70b-versatile' },
      },
      routing: { development: ['ollama'], production: 'openai' },
    });
    const options = { home: '/home/me', hostname: 'box' };
    const fromNested = await loadFrom({ 'ollamesh.config.ts': nested }, options);
    expect(fromNested.config).toEqual((await loadFrom({ 'ollamesh.config.json': plain }, options)).config);
    expect(fromNested.notices).toEqual([]);
    expect(fromNested.origins['engine.url']).toEqual({ from: 'file', name: 'ollamesh.config.ts', key: 'ai.providers.ollama.url' });
  });

  it('enabled: false has no effect yet and says so; autoStart: true leaves the driver to choose', async () => {
    const { config, notices } = await loadFrom({ 'ollamesh.config.yaml': 'ai: { providers: { ollama: { enabled: false, autoStart: true } } }' });
    expect(config.engine.driver).toBe('auto');
    expect(notices).toEqual(['ollamesh.config.yaml: ai.providers.ollama.enabled: false has no effect yet.']);
  });

  it('what has no effect is told: a key in the file, never with its value, settings nobody knows, routing to what is not set up', async () => {
    const ai = `ai: { providers: { openai: { apiKey: sk-secret, temperature: 1 }, acme: { enabled: false } }, routing: { development: nobody, production: openai, test: ollama } }`;
    const { config, notices } = await loadFrom({ 'ollamesh.config.yaml': ai });
    expect(notices).toEqual([
      'ollamesh.config.yaml: ai.providers.openai.apiKey is not read: a key comes from the environment or a file (key: { env } or { file }; OPENAI_API_KEY if neither is set).',
      'ollamesh.config.yaml: ai.providers.openai.temperature has no effect.',
      'ollamesh.config.yaml: ai.routing.development has no effect: ai.providers has no "nobody".',
      'ollamesh.config.yaml: ai.routing.production has no effect: ai.providers.openai has no defaultModel.',
      'ollamesh.config.yaml: ai.routing.test has no effect: there are development and production.',
    ]);
    expect([Object.keys(config.providers), config.routing]).toEqual([['openai'], { aliases: {} }]);
    expect(JSON.stringify(config)).not.toContain('sk-secret');
    expect((await loadFrom({ 'ollamesh.config.yaml': 'ai: { routing: { production: a } }\nproviders: { a: { type: openai-compatible, url: "http://a", defaultModel: m } }' })).config.routing.production).toEqual(['a']);
    expect((await problemsOf({ 'ollamesh.config.yaml': 'ai: { providers: { acme: { defaultModel: m } } }' })).message).toContain('ai.providers.acme.url');
  });

  it('errors: name the nested keys, whether the form or the setting behind it is wrong', async () => {
    const wrong = { 'ollamesh.config.yaml': 'ai: { providers: { ollama: { modles: [a] }, other: 1 }, routing: { production: 2 } }' };
    expect((await problemsOf(wrong)).message.split('\n').slice(1)).toEqual([
      '  ai.providers.ollama.modles is not a known key; did you mean ai.providers.ollama.models? (ollamesh.config.yaml)',
      '  ai.providers.other must be a section, not 1 (ollamesh.config.yaml)',
      '  ai.routing.production must be text, not a number (ollamesh.config.yaml)',
    ]);
    expect((await problemsOf({ 'ollamesh.config.yaml': 'ai: { providers: { ollama: { url: nowhere } } }' })).message).toContain(
      '  ai.providers.ollama.url is not an http(s) URL (ollamesh.config.yaml)',
    );
  });

  it('beside the plain form: both count, and a setting in both is an error', async () => {
    const ai = 'ai: { providers: { ollama: { defaultModel: phi3 } } }';
    expect((await loadFrom({ 'ollamesh.config.yaml': `${ai}\ngateway: { port: 1 }` })).config).toMatchObject({ gateway: { port: 1 }, models: { default: 'phi3:latest' } });
    expect((await problemsOf({ 'ollamesh.config.yaml': `${ai}\nmodels: { default: a }` })).message).toContain('models.default is set twice');
  });

  it('types: defineConfig takes both forms', () => {
    expect(defineConfig({ gateway: { port: 1 } })).toEqual({ gateway: { port: 1 } });
    expect(defineConfig({ ai: { providers: { ollama: { models: ['a'] } } } })).toEqual({ ai: { providers: { ollama: { models: ['a'] } } } });
    // @ts-expect-error a key that does not exist
    defineConfig({ gateway: { prot: 1 } });
  });
});
