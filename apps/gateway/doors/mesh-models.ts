/** What the engines of the mesh list, each model once and in the words of its engine, remembered for a moment: clients ask often. Behind them the names that the configuration gives to targets. */
import { createHash } from 'node:crypto';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { type NamedRoute, RoutingTable } from '#config';
import { AskedModel, MeshError, type ProviderFeature, isSameModel, modelKey } from '#contracts';
import { Logger } from '#runtime';
import { MeshView } from '../mesh-view.js';
import { EnginePassage } from './ollama/engine-passage.js';

/** How long a list is believed, in milliseconds; changes that pass through this gateway end it sooner. */
const BELIEVED_MS = 1_000;

/** A model as an engine lists it: more than the door's own fields. */
export interface ListedModel {
  readonly name: string;
  readonly modified_at?: string;
  /** Where its answers come from, of what is no engine's model. */
  readonly targets?: readonly string[];
}

@Injectable()
export class MeshModels implements OnApplicationBootstrap {
  readonly #passage: EnginePassage;
  readonly #mesh: MeshView;
  readonly #routing: RoutingTable;
  readonly #routes: readonly ListedModel[];
  readonly #routed: ReadonlySet<string>;
  readonly #log: Logger;
  #tags: { readonly at: number; readonly models: Promise<ListedModel[]> } | undefined;

  constructor(passage: EnginePassage, mesh: MeshView, routing: RoutingTable, log: Logger) {
    this.#passage = passage;
    this.#mesh = mesh;
    this.#routing = routing;
    this.#log = log;
    const since = new Date().toISOString();
    this.#routes = routing.names.map((route) => listed(route, since));
    this.#routed = new Set(this.#routes.map(({ name }) => modelKey(name)));
  }

  onApplicationBootstrap(): void {
    this.#mesh.listen(({ event, data }) => {
      if (event !== 'pull' || data.status !== 'pulling') this.forget();
    });
  }

  /** Every model there is. @throws MeshError of an engine that can't tell, where there is nothing else */
  async tags(): Promise<ListedModel[]> {
    const models = await this.#engineTags().catch(noneBeside(this.#routes, this.#log));
    return [...models.filter(({ name }) => !this.#routed.has(modelKey(name))), ...this.#routes];
  }

  #engineTags(): Promise<ListedModel[]> {
    if (!this.#tags || performance.now() - this.#tags.at > BELIEVED_MS) {
      const models = this.#list('/api/tags');
      models.catch(() => this.forget());
      this.#tags = { at: performance.now(), models };
    }
    return this.#tags.models;
  }

  /** What Ollama's `show` says of a name that the configuration gives to targets; undefined for any other. */
  shown(asked: string): object | undefined {
    const name = AskedModel.safeParse(asked).data;
    const route = this.#routes.find((listedRoute) => name !== undefined && isSameModel(listedRoute.name, name));
    if (!route) return undefined;
    const { targets = [], modified_at: modifiedAt } = route;
    const capabilities = this.#routing.featuresOf(targets).flatMap((feature) => CAPABILITIES[feature] ?? []);
    return { modelfile: '', parameters: '', template: '', details: DETAILS, model_info: {}, capabilities: ['completion', ...capabilities], modified_at: modifiedAt, remote_model: targets[0] ?? '', targets };
  }

  /** Those in memory. */
  loaded(): Promise<ListedModel[]> {
    return this.#list('/api/ps');
  }

  /** Something has changed. */
  forget(): void {
    this.#tags = undefined;
  }

  async #list(path: '/api/tags' | '/api/ps'): Promise<ListedModel[]> {
    const answers = await Promise.all((await this.#nodes()).map((node) => this.#passage.ask(node, { path, method: 'GET' })));
    const models = new Map<string, ListedModel>();
    for (const { status, text } of answers) {
      if (status !== 200) throw new MeshError('engine_error', `The engine answered ${path} with status ${status}.`, { details: { status, said: text } });
      for (const model of (JSON.parse(text) as { models: ListedModel[] | null }).models ?? []) if (!models.has(model.name)) models.set(model.name, model);
    }
    return [...models.values()];
  }

  async #nodes(): Promise<string[]> {
    const nodes = (await this.#mesh.engines()).filter(({ url }) => url !== undefined).map(({ node }) => node);
    return nodes.length > 0 ? nodes : [this.#mesh.nodeFor()];
  }
}

const DETAILS = { parent_model: '', format: '', family: '', families: null, parameter_size: '', quantization_level: '' };
/** Ollama's words. */
const CAPABILITIES: Partial<Record<ProviderFeature, string>> = { tools: 'tools', images: 'vision', thinking: 'thinking', embeddings: 'embedding' };

/** As Ollama lists models that run elsewhere; its clients show the beginning of a digest. */
function listed({ name, targets }: NamedRoute, since: string): ListedModel {
  const digest = createHash('sha256').update(targets.join('\n')).digest('hex');
  return { name, model: name, modified_at: since, size: 0, digest, details: DETAILS, remote_model: targets[0] ?? '', targets } as ListedModel;
}

/** No models of engines where these can't tell, which is logged, as long as there are `routes` to list. @throws why they can't where there are none */
export function noneBeside(routes: readonly unknown[], log: Logger): (thrown: unknown) => never[] {
  return (thrown) => {
    if (routes.length === 0) throw thrown;
    log.warn(`The models of engines are missing from a list: ${MeshError.from(thrown).message}`);
    return [];
  };
}
