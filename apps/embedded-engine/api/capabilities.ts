/** What a model can do here: Ollama's rules on its templates, less what this engine could not do with it. */
import { ApiError } from '#ollama-wire';
import { fullName } from '../names.js';
import { LAYER } from '#registry';
import type { Store, StoredModel } from '../store/store.js';

export type Capability = 'completion' | 'embedding' | 'tools' | 'thinking';

export interface Abilities {
  /** In the order /api/show lists them. */
  readonly capabilities: readonly Capability[];
  /** What its tool calls begin with. */
  readonly toolTag: string;
}

/** The texts that say what a model can do. */
export interface Templates {
  /** Go template of the model's own layer, as `ollama create` writes it. */
  readonly go: string | undefined;
  /** Jinja template in the weights' file: the one this engine writes prompts with. */
  readonly jinja: string | undefined;
  /** The weights pool their tokens into one vector. */
  readonly pools: boolean;
}

/** Beginnings of tool calls; any other template's calls are bare JSON. */
const TOOL_TAGS = ['<tool_call>', '[TOOL_CALLS]', '<|tool_call|>', '<|python_tag|>', '<function_calls>'];
/** Weights whose abilities are kept. */
const MAX_KEPT = 256;

/** Both templates have to know of tools or thoughts: Ollama goes by the Go one, and the prompt is written by the other. */
export function abilitiesOf({ go, jinja, pools }: Templates): Abilities {
  if (pools) return { capabilities: ['embedding'], toolTag: '{' };
  const knows = (inGo: RegExp, inJinja: RegExp): boolean => jinja !== undefined && inJinja.test(jinja) && (go === undefined || inGo.test(go));
  const capabilities: Capability[] = ['completion'];
  if (knows(/\.Tools\b/, /\btools\b/)) capabilities.push('tools');
  if (knows(/\.Think(ing)?\b/, /enable_thinking|reasoning_content|<think>/)) capabilities.push('thinking');
  return { capabilities, toolTag: TOOL_TAGS.find((tag) => `${go ?? ''}${jinja ?? ''}`.includes(tag)) ?? '{' };
}

export class Capabilities {
  readonly #kept = new Map<string, Abilities>();

  constructor(readonly store: Store) {}

  async of(model: StoredModel): Promise<Abilities> {
    const kept = this.#kept.get(model.digest);
    if (kept !== undefined) return kept;
    const abilities = abilitiesOf(await this.#templates(model));
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(model.digest, abilities);
    return abilities;
  }

  /** As lists show them: none for a model that can't be loaded. */
  async listed(model: StoredModel): Promise<readonly Capability[]> {
    return (await this.store.obstacle(model)) === undefined ? (await this.of(model)).capabilities : [];
  }

  /** @throws ApiError 400 in Ollama's words when the model can't do what is asked */
  async require(model: StoredModel, asked: string, use: 'chat' | 'generate', needed: { readonly tools?: boolean; readonly thinking?: boolean }): Promise<Abilities> {
    const abilities = await this.of(model);
    const can = (capability: Capability): boolean => abilities.capabilities.includes(capability);
    if (needed.thinking === true && !can('thinking')) throw new ApiError(400, `${JSON.stringify(asked)} does not support thinking`);
    if (!can('completion')) throw new ApiError(400, `${JSON.stringify(asked)} does not support ${use}`);
    if (needed.tools === true && !can('tools')) throw new ApiError(400, `${fullName(model.name)} does not support tools`);
    return abilities;
  }

  /** A file that can't be read can do nothing special; loading it will say what is wrong with it. */
  async #templates(model: StoredModel): Promise<Templates> {
    const header = await this.store.header(model).catch(() => undefined);
    const jinja = header?.metadata.get('tokenizer.chat_template');
    return {
      go: await this.store.layerText(model, LAYER.template),
      jinja: typeof jinja === 'string' ? jinja : undefined,
      pools: header?.metadata.has(`${String(header.metadata.get('general.architecture'))}.pooling_type`) ?? false,
    };
  }
}
