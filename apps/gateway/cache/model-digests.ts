/** What a node's model names stand for, remembered for a moment, so that a request whose answer is known asks nobody. */
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '#bus';
import { type Model, ModelsList, isSameModel } from '#contracts';
import { MeshView } from '../mesh-view.js';

/** How long it is believed, in milliseconds: others may change models behind the mesh's back. */
const BELIEF_MS = 10_000;
/** How long a request may be kept from its model by this. */
const ASK_MS = 2_000;
/** Nodes remembered at most. */
const MAX_NODES = 1_000;

interface Known {
  readonly models: readonly Model[];
  readonly readAt: number;
}

@Injectable()
export class ModelDigests implements OnApplicationBootstrap {
  readonly #bus: Bus;
  readonly #mesh: MeshView;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<readonly Model[]>>();
  /** The model that each node takes where none is named, as it did the last time. */
  readonly #defaults = new Map<string, string>();

  constructor(bus: Bus, mesh: MeshView) {
    this.#bus = bus;
    this.#mesh = mesh;
  }

  onApplicationBootstrap(): void {
    this.#mesh.overhear((news) => {
      if (news.event === 'engine' || (news.event === 'pull' && news.data.status !== 'pulling')) this.forget(news.data.node);
    });
  }

  /** The digest of `model`, or of the default, at `node`; undefined where that is not known and the request will find out. */
  async find(node: string, model: string | undefined): Promise<string | undefined> {
    const meant = model ?? this.#defaults.get(node);
    if (meant === undefined) return undefined;
    const models = await this.#modelsOf(node).catch((): readonly Model[] => []); // The request itself says what is wrong.
    return models.find(({ name }) => isSameModel(name, meant))?.digest;
  }

  /** Notes that `node` took `model` where none was named. */
  learnDefault(node: string, model: string): void {
    if (this.#defaults.size < MAX_NODES || this.#defaults.has(node)) this.#defaults.set(node, model);
  }

  /** Models of `node` have changed, or may have. */
  forget(node: string): void {
    this.#known.delete(node);
    this.#defaults.delete(node);
  }

  async #modelsOf(node: string): Promise<readonly Model[]> {
    const known = this.#known.get(node);
    if (known && performance.now() - known.readAt < BELIEF_MS) return known.models;
    let asking = this.#asking.get(node);
    if (!asking) {
      asking = this.#ask(node).finally(() => this.#asking.delete(node));
      this.#asking.set(node, asking);
    }
    return asking;
  }

  async #ask(node: string): Promise<readonly Model[]> {
    const { models } = await this.#bus.call(ModelsList, {}, { node, deadlineMs: ASK_MS });
    if (this.#known.size < MAX_NODES || this.#known.has(node)) this.#known.set(node, { models, readAt: performance.now() });
    return models;
  }
}
