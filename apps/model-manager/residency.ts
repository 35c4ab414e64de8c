/** Which models are in the engine's memory: what it says, loads and unloads on request, and the list that is kept warm. */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { MeshError, type Residency as ResidencyOf, modelKey, normaliseModelName } from '#contracts';
import type { OllamaClient, RunningModel } from '#ollama';
import { CONFIG, Logger } from '#runtime';
import { EngineLink } from './engine-link.js';
import { ContextLengths, settingsOf, withSettings } from './model-settings.js';

/** How often the engine is asked what it has in memory, in milliseconds: it forgets models by itself. */
const LOOK_MS = 2_000;
const FOR_EVER = -1;
/** Dates of models that stay are centuries away. */
const FAR_AWAY_MS = 50 * 365 * 24 * 3_600_000;

@Injectable()
export class Residency implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #engine: EngineLink;
  readonly #config: LoadedConfig;
  readonly #log: Logger;
  readonly #contexts = new ContextLengths();
  /** What the engine said last, by the models' keys. */
  #running = new Map<string, RunningModel>();
  /** Loads under way, how many of each model. */
  readonly #loading = new Map<string, number>();
  readonly #onChange = new Set<() => void>();
  readonly #abort = new AbortController();
  #warming: Promise<void> | undefined;
  #noticing = false;
  #noticeAgain = false;
  #look: NodeJS.Timeout | undefined;

  constructor(engine: EngineLink, @Inject(CONFIG) config: LoadedConfig, log: Logger) {
    this.#engine = engine;
    this.#config = config;
    this.#log = log;
  }

  onApplicationBootstrap(): void {
    this.#look = setInterval(() => void this.refresh().catch(() => undefined), LOOK_MS); // An engine that is away has nothing in memory.
    this.#engine.onChange(({ state, url }, before) => {
      if (url === undefined || url !== before?.url) this.#take([]);
      if (state === 'ready' && before?.state !== 'ready') void this.warmUp();
    });
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#look);
    this.#abort.abort();
    await this.#warming;
  }

  /** Calls `listener` whenever something came into memory or left it. */
  onChange(listener: () => void): void {
    this.#onChange.add(listener);
  }

  /** Asks the engine now. */
  async refresh(): Promise<void> {
    if (!this.#engine.available) return;
    this.#take(await (await this.#engine.client()).running(this.#abort.signal));
  }

  of(model: string): ResidencyOf {
    const running = this.#running.get(modelKey(model));
    if (!running) return { state: this.#loading.has(modelKey(model)) ? 'loading' : 'on-disk' };
    const { size = 0, size_vram: vramBytes = 0, context_length: contextLength, expires_at: expiresAt } = running;
    const expires = expiresAt !== undefined && Date.parse(expiresAt) - Date.now() < FAR_AWAY_MS;
    return {
      state: 'resident',
      vramBytes,
      ramBytes: Math.max(0, size - vramBytes),
      ...(contextLength !== undefined && { contextLength }),
      ...(expires && { expiresAt }),
    };
  }

  /** The keys of the models in memory. */
  get resident(): ReadonlySet<string> {
    return new Set(this.#running.keys());
  }

  isWarm(model: string): boolean {
    return this.#config.models.warm.some((warm) => modelKey(warm) === modelKey(model));
  }

  /** A request's body as it goes to the engine: what it leaves open is filled in, and its context length is the model's. */
  complete(model: string, body: Record<string, unknown>): Record<string, unknown> {
    const settings = settingsOf(this.#config.models, model);
    const asked = (body['options'] as { num_ctx?: unknown } | undefined)?.num_ctx;
    const key = modelKey(model);
    const contextLength = this.#contexts.settle(key, typeof asked === 'number' ? asked : settings.parameters?.num_ctx, {
      configured: settings.contextLength,
      resident: this.#running.get(key)?.context_length,
    });
    return withSettings(body, settings, contextLength);
  }

  /** From now on a model that is not in memory counts as loading, until what is returned is called: it is there, or will not be. */
  beginLoading(model: string): () => void {
    const key = modelKey(model);
    this.#loading.set(key, (this.#loading.get(key) ?? 0) + 1);
    let counts = true;
    return () => {
      if (!counts) return;
      counts = false;
      const left = (this.#loading.get(key) ?? 1) - 1;
      if (left > 0) this.#loading.set(key, left);
      else this.#loading.delete(key);
      if (!this.#running.has(key)) this.#notice();
    };
  }

  /**
   * Brings a model into memory.
   * @throws MeshError `model_not_found`, `engine_unavailable`, `engine_error` in the engine's words
   */
  async load(model: string, keepAlive?: number | string): Promise<ResidencyOf> {
    const client = await this.#engine.client();
    const body = this.complete(model, { model, prompt: '', ...(keepAlive !== undefined && { keep_alive: keepAlive }) });
    const loaded = this.beginLoading(model);
    try {
      await this.#empty(client, body);
    } finally {
      loaded();
    }
    await this.refresh();
    return this.of(model);
  }

  /** Takes a model out of memory. Whoever calls has made sure that nobody uses it. */
  async unload(model: string): Promise<ResidencyOf> {
    this.#contexts.forget(modelKey(model));
    await this.#empty(await this.#engine.client(), { model, prompt: '', keep_alive: 0 });
    await this.refresh();
    return this.of(model);
  }

  /** Asks the engine soon: once for all who finish loading while it is asked, however many first tokens come together. */
  #notice(): void {
    this.#noticeAgain = this.#noticing;
    if (this.#noticing) return;
    this.#noticing = true;
    void this.refresh()
      .catch(() => undefined) // It is asked again soon.
      .then(() => {
        this.#noticing = false;
        if (this.#noticeAgain) this.#notice();
      });
  }

  /** Loads the models of `models.warm` that are not in memory, one after the other; what can't be is logged. */
  warmUp(): Promise<void> {
    this.#warming = (this.#warming ?? Promise.resolve()).then(() => this.#warmUp());
    return this.#warming;
  }

  async #warmUp(): Promise<void> {
    for (const model of this.#config.models.warm) {
      if (this.#abort.signal.aborted || this.#running.has(modelKey(model))) continue;
      try {
        await this.load(model, settingsOf(this.#config.models, model).keepAlive ?? FOR_EVER);
      } catch (thrown) {
        this.#log.warn(`${model} can't be kept warm: ${MeshError.from(thrown).message}`);
      }
    }
  }

  /** An empty request loads a model, or unloads it. */
  async #empty(client: OllamaClient, body: Record<string, unknown>): Promise<void> {
    for await (const lines of client.generate(body, this.#abort.signal)) if (lines.at(-1)?.done) return;
  }

  #take(running: readonly RunningModel[]): void {
    const before = [...this.#running.keys()].join(' ');
    this.#running = new Map(running.map((model) => [modelKey(normaliseModelName(model.name) ?? model.name), model]));
    if ([...this.#running.keys()].join(' ') !== before) for (const listener of this.#onChange) listener();
  }
}
