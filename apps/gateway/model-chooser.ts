/** Which model suits a task here: recommended to whoever asks, and chosen for a request that leaves it to the mesh. libs/model-fit knows what suits. */
import { Injectable } from '@nestjs/common';
import { RoutingTable } from '#config';
import { type EngineGeneration, type Hardware, MeshError, type Model, type ModelChoice, type ModelPriority, type ModelTask, type RecommendedModel, type Recommendations, readWish } from '#contracts';
import { type Machine, modelsFor, ranked } from '#model-fit';
import { MeshView } from './mesh-view.js';
import { ModelsOfNodes } from './models-of-nodes.js';

/** How long a list of models is good enough for a choice, in milliseconds. */
const BELIEVED_MS = 2_000;
/** Where nobody says what a machine has, whatever is on its disk counts as fitting. */
const UNKNOWN_PLAN: Machine['plan'] = {
  settings: { contextLength: 4_096, parallel: 1, kvCacheType: 'f16', flashAttention: false, reasons: [] },
  memory: { gpuBytes: 0, cpuBytes: Number.MAX_SAFE_INTEGER, gpus: 0 },
  models: [],
};
/** What answers where no model is made for a task. None stands in for eyes, or for vectors. */
const STAND_INS: Partial<Record<ModelTask, ModelTask>> = { code: 'chat', reasoning: 'chat' };

export interface Chosen {
  readonly model: string | undefined;
  readonly choice?: ModelChoice;
}

@Injectable()
export class ModelChooser {
  readonly #mesh: MeshView;
  readonly #inventory: ModelsOfNodes;
  readonly #routing: RoutingTable;
  #listed: { readonly at: number; readonly models: Promise<Model[]> } | undefined;

  constructor(mesh: MeshView, inventory: ModelsOfNodes, routing: RoutingTable) {
    this.#mesh = mesh;
    this.#inventory = inventory;
    this.#routing = routing;
  }

  /**
   * Models for `task`, best first, by what each machine has and what was measured and seen there.
   * @param node only that one; every node if not set
   * @throws MeshError `not_found` of a node that nobody has heard of, `unavailable` while no machine has been read
   */
  async recommend(task: ModelTask, priority: ModelPriority, node?: string): Promise<Recommendations> {
    const machines = (await this.#mesh.hardware()).filter((hardware) => node === undefined || hardware.node === node);
    if (node !== undefined && machines.length === 0) throw new MeshError('not_found', `No node is called "${node}".`, { details: { node } });
    const planned = machines.flatMap((hardware) => (hardware.plan ? [{ node: hardware.node, plan: hardware.plan }] : []));
    if (planned.length === 0) throw new MeshError('unavailable', 'The hardware has not been looked at yet. Ask again.');
    const models = await this.#inventory.list().catch(() => []); // Without an engine there is nothing on disk, and what fits is known all the same.
    const rows = planned.flatMap((machine) => modelsFor(task, { ...machine, models: models.filter((model) => model.node === machine.node) }));
    return {
      task,
      priority,
      nodes: planned.map(({ node: name, plan: { settings, memory } }) => ({
        node: name,
        contextLength: settings.contextLength,
        parallel: settings.parallel,
        kvCacheType: settings.kvCacheType,
        gpuBytes: memory.gpuBytes,
        cpuBytes: memory.cpuBytes,
      })),
      models: ranked(rows, task, priority),
    };
  }

  /**
   * The model of a request: that which it names, or, for `auto` and `task:…`, the best here; where the configuration routes `auto`, that holds.
   * @param generation what `auto` reads the task from; vectors if not set
   * @throws MeshError `model_not_found` where nothing here does that task, with what to pull; `invalid_request` for a task that there is not
   */
  async settle(asked: string | undefined, generation?: EngineGeneration): Promise<Chosen> {
    const wish = readWish(asked);
    if (wish === undefined || asked === undefined || this.#routing.targetsOf(asked)) return { model: asked };
    if ('problem' in wish) throw new MeshError('invalid_request', `Invalid request: model: ${wish.problem}.`, { details: { issues: [{ field: 'model', reason: wish.problem }] } });
    const task = wish.task === 'auto' ? taskOf(generation) : wish.task;
    const machines = await this.#machines(generation?.tools !== undefined);
    const best = (wanted: ModelTask): RecommendedModel | undefined => ranked(machines.flatMap((machine) => modelsFor(wanted, machine).filter(({ installed }) => installed)), wanted, 'quality')[0];
    const made = best(task);
    const standIn = STAND_INS[task];
    const chosen = made ?? (standIn && best(standIn));
    if (!chosen) throw await this.#nothingFor(task, asked);
    const reason = made ? `The best for ${task} of what is here. ${chosen.why}` : `No model here is made for ${task}, so that the best for ${standIn} answers. ${chosen.why}`;
    return { model: chosen.model, choice: { asked, task, reason } };
  }

  /** What each node has on its disk; of that only models that can call tools, if any can and the request has some. */
  async #machines(withTools: boolean): Promise<Machine[]> {
    const [all, hardware] = await Promise.all([this.#models(), this.#mesh.hardware().catch((): Hardware[] => [])]);
    const able = withTools ? all.filter(({ capabilities }) => capabilities?.includes('tools')) : [];
    const models = able.length > 0 ? able : all;
    return [...new Set(models.map(({ node }) => node))].map((node) => ({
      node,
      plan: hardware.find((machine) => machine.node === node)?.plan ?? UNKNOWN_PLAN,
      models: models.filter((model) => model.node === node),
    }));
  }

  #models(): Promise<Model[]> {
    if (!this.#listed || performance.now() - this.#listed.at > BELIEVED_MS) {
      const models = this.#inventory.list();
      models.catch(() => (this.#listed = undefined));
      this.#listed = { at: performance.now(), models };
    }
    return this.#listed.models;
  }

  async #nothingFor(task: ModelTask, asked: string): Promise<MeshError> {
    const known = await this.recommend(task, 'quality').catch(() => undefined);
    const model = known?.models.find(({ fit }) => fit !== 'no')?.model;
    const pull = model === undefined ? undefined : { command: `ollamesh pull ${model}`, request: { method: 'POST', path: '/models/pull', body: { model } } };
    const advice = pull ? ` One that suits this machine: ${pull.command}` : '';
    return new MeshError('model_not_found', `No model here does ${task}.${advice}`, { details: { model: asked, task, ...(pull && { pull }) } });
  }
}

/** What a request is about, by what it brings along. */
function taskOf(generation: EngineGeneration | undefined): ModelTask {
  if (generation === undefined) return 'embed';
  const { images = [], messages = [], suffix, think } = generation;
  if (images.length > 0 || messages.some((message) => (message.images?.length ?? 0) > 0)) return 'vision';
  if (suffix !== undefined && suffix !== '') return 'code';
  return think !== undefined && think !== false ? 'reasoning' : 'chat';
}
