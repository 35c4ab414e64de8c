/** The models this node's engine has. Names are remembered so that starting a generation costs no question to the engine. */
import { Inject, Injectable } from '@nestjs/common';
import type { Config } from '#config';
import { MeshError, type Model, isSameModel, normaliseModelName } from '#contracts';
import type { Tag } from '#ollama';
import { CONFIG } from '#runtime';
import { EngineLink } from './engine-link.js';
import { Residency } from './residency.js';

/** How long the remembered names are believed, in milliseconds: others may delete models behind our back. */
const NAMES_TTL_MS = 10_000;

@Injectable()
export class Catalogue {
  readonly #engine: EngineLink;
  readonly #residency: Residency;
  readonly #config: Config;
  #names: readonly string[] = [];
  #readAt = -Infinity;

  constructor(engine: EngineLink, residency: Residency, @Inject(CONFIG) config: Config) {
    this.#engine = engine;
    this.#residency = residency;
    this.#config = config;
  }

  /** What the engine has, asked anew. */
  async list(): Promise<Model[]> {
    const client = await this.#engine.client();
    const [tags] = await Promise.all([client.tags(), this.#residency.refresh()]);
    this.#remember(tags);
    return answeringFirst(tags).map((tag) => this.#modelOf(tag));
  }

  /** What the engine says of `model`, asked anew; undefined where it is not here. */
  async tag(model: string): Promise<Tag | undefined> {
    const tags = await (await this.#engine.client()).tags();
    this.#remember(tags);
    return tags.find(({ name }) => isSameModel(spelled(name), model));
  }

  /** The names that are remembered. */
  get known(): readonly string[] {
    return this.#names;
  }

  /** The model of a request that names none, as far as it is known. */
  get defaultModel(): string | undefined {
    const { default: configured, required } = this.#config.models;
    return configured ?? required[0] ?? this.#names[0];
  }

  /** Asks the engine again where what is remembered is too old; while it is away that stays. */
  async keepKnown(): Promise<void> {
    if (!this.#engine.available || performance.now() - this.#readAt <= NAMES_TTL_MS) return;
    this.#readAt = performance.now(); // One question at a time.
    await this.#refresh().catch(() => undefined); // It is asked again when that has run out.
  }

  /** Forgets what is remembered, after a pull or a deletion. */
  forget(): void {
    this.#readAt = -Infinity;
  }

  /**
   * The model a request means: the one it names, or the default (the configured one, else the first required one, else
   * the engine's first).
   * @throws MeshError `model_not_found` that says which models exist and how to get this one.
   */
  async resolve(asked: string | undefined): Promise<string> {
    // While the engine is away (it may be restarting) what it had counts: the request waits for it in the queue.
    if (performance.now() - this.#readAt > NAMES_TTL_MS) await this.#refresh().catch((thrown: unknown) => this.#names.length > 0 || Promise.reject(thrown));
    const wanted = asked ?? this.defaultModel;
    const known = this.#find(wanted);
    if (known !== undefined) return known;
    await this.#refresh();
    const found = this.#find(wanted ?? this.#names[0]);
    if (found !== undefined) return found;
    throw modelNotFound(wanted, this.#names);
  }

  #modelOf(tag: Tag): Model {
    const { family, parameter_size: parameterSize, quantization_level: quantization, context_length: contextLength } = tag.details ?? {};
    const name = spelled(tag.name);
    return {
      node: this.#engine.node,
      name,
      digest: tag.digest,
      sizeBytes: tag.size,
      modifiedAt: tag.modified_at,
      residency: this.#residency.of(name),
      ...(family && { family }),
      ...(parameterSize && { parameterSize }),
      ...(quantization && { quantization }),
      ...(contextLength && { contextLength }),
      ...(tag.capabilities && { capabilities: tag.capabilities }),
    };
  }

  /** The engine's spelling of `model`. */
  #find(model: string | undefined): string | undefined {
    return model === undefined ? undefined : this.#names.find((name) => isSameModel(name, model));
  }

  async #refresh(): Promise<void> {
    this.#remember(await (await this.#engine.client()).tags());
  }

  #remember(tags: readonly Tag[]): void {
    this.#names = answeringFirst(tags).map(({ name }) => spelled(name));
    this.#readAt = performance.now();
  }
}

function modelNotFound(model: string | undefined, available: readonly string[]): MeshError {
  const exist = available.length > 0 ? `There is: ${available.join(', ')}.` : 'There is none yet.';
  return model === undefined
    ? new MeshError('model_not_found', `No model is here. Pull one with: ollamesh pull llama3.2`, { details: { available } })
    : new MeshError('model_not_found', `Model "${model}" is not here. ${exist} To get it: ollamesh pull ${model}`, {
        details: { model, available, pull: { command: `ollamesh pull ${model}`, request: { method: 'POST', path: '/models/pull', body: { model } } } },
      });
}

/** The engine's order, but models that answer nothing (for embeddings, or that it can't load) last: the first is the default. */
function answeringFirst(tags: readonly Tag[]): Tag[] {
  const answers = ({ capabilities }: Tag) => capabilities === undefined || capabilities.includes('completion');
  return tags.toSorted((a, b) => Number(answers(b)) - Number(answers(a)));
}

/** An engine's name for a model in our one spelling. */
function spelled(name: string): string {
  return normaliseModelName(name) ?? name;
}

