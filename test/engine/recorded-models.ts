/** The models of the recordings under their own names, made of the bundled model's weights with other templates, in a store on disk. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packageRoot } from '#package-root';
import { ggufVariant } from './gguf-variant.js';

const TURN = "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n'}}";
const JINJA = {
  tools: `{% if tools %}{{'<|im_start|>system\\n'}}{% for tool in tools %}{{tool | tojson}}{% endfor %}{{'<|im_end|>\\n'}}{% endif %}{% for message in messages %}{% if message.tool_calls %}{{'<|im_start|>assistant\\n'}}{% for call in message.tool_calls %}{{call.function | tojson}}{% endfor %}{{'<|im_end|>\\n'}}{% else %}${TURN}{% endif %}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\\n'}}{% endif %}`,
  thinking: `{% for message in messages %}${TURN}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\\n'}}{% if enable_thinking %}{{'<think>\\n'}}{% endif %}{% endif %}`,
} as const;
const GO = {
  plain: '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n',
  tools: '{{- if .Tools }}<|im_start|>system\n{{ .Tools }}<|im_end|>\n{{ end }}{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}{{ end }}<|im_end|>\n{{ end }}<|im_start|>assistant\n',
  thinking: '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ if .Thinking }}<think>\n{{ .Thinking }}</think>\n{{ end }}{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n{{ if .Think }}<think>\n{{ end }}',
} as const;
const STOP = { stop: ['<|im_start|>', '<|im_end|>'] };

interface Made {
  readonly metadata?: Readonly<Record<string, string | number>>;
  readonly template?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly system?: string;
}

const TINY: Made = { template: GO.plain, params: STOP };
const BIG: Made = { ...TINY, metadata: { 'general.name': 'big' } };
const MODELS: Readonly<Record<string, Made>> = {
  tiny: TINY, tinycopy: TINY, gone: TINY, '127.0.0.1:5555/library/tiny': TINY,
  big: BIG, '127.0.0.1:5555/library/big': BIG,
  doomed: { ...TINY, metadata: { 'general.name': 'doomed' } },
  tiny2: { template: GO.plain, system: 'You are tiny2.', params: { ...STOP, num_predict: 64, temperature: 0.5 }, metadata: { 'general.name': 'tiny2' } },
  tinytools: { template: GO.tools, params: STOP, metadata: { 'tokenizer.chat_template': JINJA.tools } },
  tinythink: { template: GO.thinking, params: STOP, metadata: { 'tokenizer.chat_template': JINJA.thinking } },
  tinyembed: { metadata: { 'llama.pooling_type': 1 } },
};

const MEDIA = 'application/vnd.ollama.image';

/** What puts the models into a store. */
export class RecordedModels {
  readonly #manifests = new Map<string, string>();

  constructor(readonly store: string) {}

  /** Again when a test removed blobs with their models: all but the weights are small. */
  async write(): Promise<void> {
    const guide = await readFile(join(packageRoot(), 'apps/embedded-engine/models/guide.gguf'));
    for (const [name, { metadata, template, params, system }] of Object.entries(MODELS)) {
      const layers = [await this.#blob(`${MEDIA}.model`, metadata === undefined ? guide : ggufVariant(guide, metadata))];
      if (template !== undefined) layers.push(await this.#blob(`${MEDIA}.template`, template));
      if (system !== undefined) layers.push(await this.#blob(`${MEDIA}.system`, system));
      if (params !== undefined) layers.push(await this.#blob(`${MEDIA}.params`, JSON.stringify(params)));
      const config = await this.#blob('application/vnd.docker.container.image.v1+json', JSON.stringify({ model_format: 'gguf', model_family: 'llama' }));
      const manifest = { schemaVersion: 2, mediaType: 'application/vnd.docker.distribution.manifest.v2+json', config, layers };
      const [path = '', host = 'registry.ollama.ai'] = name.includes('/') ? [name.split('/').slice(1).join('/'), name.split('/', 1)[0]] : [`library/${name}`];
      this.#manifests.set(join(this.store, 'manifests', host, path, 'latest'), JSON.stringify(manifest));
    }
    for (const [path, text] of this.#manifests) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
  }

  async #blob(mediaType: string, bytes: Buffer | string): Promise<{ mediaType: string; digest: string; size: number }> {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const path = join(this.store, 'blobs', digest.replace(':', '-'));
    await mkdir(dirname(path), { recursive: true });
    if ((await stat(path).catch(() => undefined)) === undefined) await writeFile(path, bytes);
    return { mediaType, digest, size: Buffer.byteLength(bytes) };
  }
}
