/** The models of a mesh: what there is, how to get more, what is in memory. */
import type { Benchmark, Model, ModelPriority, ModelTask, PullPolicy, PullProgress, Recommendations, Residency } from '#contracts';
import { MeshError } from '#mesh-error';
import type { Connections } from './connections.js';
import { either, pause } from './deadline.js';
import type { CallOptions, Http } from './http.js';
import { query } from './query.js';

const POLL_MS = 200;
const LOAD_TIMEOUT_MS = 310_000;
const BENCHMARK_TIMEOUT_MS = 900_000;

interface OnNode extends CallOptions {
  /** Where; the mesh chooses without it. */
  readonly node?: string;
}

export interface PullOptions extends OnNode {
  /** `always` asks the registry for a newer one (the default), `missing` leaves one that is here, `never` refuses one that is not. */
  readonly policy?: PullPolicy;
}

export interface RecommendedOptions extends OnNode {
  readonly task?: ModelTask;
  /** The most capable that is still quick enough to work with, or the quickest. */
  readonly priority?: ModelPriority;
}

export interface LoadedModel {
  readonly model: string;
  readonly residency: Residency;
}

export class Models {
  constructor(
    private readonly http: Http,
    private readonly connections: Connections,
    private readonly closed: AbortSignal,
  ) {}

  /** One for each node that has it. */
  async list({ signal }: CallOptions = {}): Promise<Model[]> {
    return (await this.http.call<{ models: Model[] }>('GET', '/models', { signal })).models;
  }

  /** Which suit a task on this hardware, best first, whether they are here or not (default: `chat`, by `quality`). */
  recommended({ signal, node, task, priority }: RecommendedOptions = {}): Promise<Recommendations> {
    return this.http.call('GET', `/models/recommended${query({ task, priority, node })}`, { signal });
  }

  /** Starts a pull or joins the one under way, and tells how far it is until the model is here. */
  pull(model: string, options: PullOptions = {}): Pull {
    const { policy, node, signal } = options;
    const begun = this.http.call<PullProgress>('POST', '/models/pull', { body: { model, policy, node }, signal });
    return new Pull(this, this.connections, this.closed, model, begun, options);
  }

  /** The pulls that wait, run or have ended within the last minute. */
  async pulls({ signal, node }: OnNode = {}): Promise<PullProgress[]> {
    return (await this.http.call<{ pulls: PullProgress[] }>('GET', `/models/pulls${query({ node })}`, { signal })).pulls;
  }

  /** How far a pull is that anybody asked for. @throws MeshError `not_found` where none is known */
  pullStatus(model: string, { signal, node }: OnNode = {}): Promise<PullProgress> {
    return this.http.call('GET', `/models/pull${query({ model, node })}`, { signal });
  }

  /** Ends a pull for everybody; what has come stays. @returns how far it came @throws MeshError `not_found` where none runs */
  cancelPull(model: string, { signal, node }: OnNode = {}): Promise<PullProgress> {
    return this.http.call('DELETE', `/models/pull${query({ model, node })}`, { signal });
  }

  /** Brings a model into memory, and answers when it is there. */
  load(model: string, { signal, node, keepAlive }: OnNode & { readonly keepAlive?: number | string } = {}): Promise<LoadedModel> {
    return this.http.call('POST', '/models/load', { body: { model, node, keepAlive }, signal, timeoutMs: LOAD_TIMEOUT_MS });
  }

  /** @throws MeshError `engine_busy` while it answers somebody */
  unload(model: string, { signal, node }: OnNode = {}): Promise<LoadedModel> {
    return this.http.call('POST', '/models/unload', { body: { model, node }, signal, timeoutMs: LOAD_TIMEOUT_MS });
  }

  /** The engine's own description. */
  show(model: string, { signal, node }: OnNode = {}): Promise<{ model: string; show: Record<string, unknown> }> {
    return this.http.call('GET', `/models/show${query({ model, node })}`, { signal });
  }

  async delete(model: string, { signal, node }: OnNode = {}): Promise<void> {
    await this.http.call('DELETE', `/models${query({ model, node })}`, { signal });
  }

  /** Measures a model that nobody uses meanwhile; takes as long as that does. */
  benchmark(model: string | undefined, { signal, node, repeats }: OnNode & { readonly repeats?: number } = {}): Promise<Benchmark> {
    return this.http.call('POST', '/models/benchmark', { body: { model, node, repeats }, signal, timeoutMs: BENCHMARK_TIMEOUT_MS });
  }
}

/** One wish for a model. It goes on whoever looks; each loop over it asks by itself. */
export class Pull implements AsyncIterable<PullProgress> {
  constructor(
    private readonly models: Models,
    private readonly connections: Connections,
    private readonly closed: AbortSignal,
    readonly model: string,
    /** How far it was when it was asked for. @throws MeshError why it was refused */
    readonly begun: Promise<PullProgress>,
    private readonly options: PullOptions,
  ) {
    begun.catch(() => undefined); // Told to whoever looks.
  }

  /** The model, once it is here. @throws MeshError `pull_failed` and other reasons why it is not */
  async done(): Promise<PullProgress> {
    let last: PullProgress | undefined;
    for await (const progress of this) last = progress;
    if (!last) throw new MeshError('internal', 'The pull told nothing.');
    return last;
  }

  /** Ends it for everybody; what has come stays. */
  async cancel(): Promise<void> {
    const { node } = this.options;
    const { model } = await this.begun;
    await this.models.cancelPull(model, { node });
  }

  /**
   * How far it is, at every change, to the last: `status: 'success'`. A gateway that is away for a while only delays it.
   * @throws MeshError why it failed; `cancelled` by the signal, which ends the looking and not the pull
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<PullProgress> {
    const first = await this.begun;
    yield this.#told(first);
    if (first.status !== 'pulling') return;
    const ending = either(this.closed, this.options.signal);
    let last = JSON.stringify(first);
    try {
      for await (const progress of this.connections.keep(() => this.#look(first.model, ending.signal), ({ status }) => status !== 'pulling', ending.signal)) {
        const state = JSON.stringify(progress);
        if ('event' in progress || state === last) continue;
        last = state;
        yield this.#told(progress);
      }
    } finally {
      ending.forget();
    }
  }

  async *#look(model: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
    for (;;) {
      await pause(POLL_MS, signal);
      yield await this.models.pullStatus(model, { signal, node: this.options.node });
    }
  }

  /** @throws MeshError for one that failed */
  #told(progress: PullProgress): PullProgress {
    if (progress.status !== 'failed') return progress;
    throw progress.error ? MeshError.fromBody(progress.error) : new MeshError('pull_failed', `Pulling ${this.model} failed.`);
  }
}
