/**
 * Which provider answers: the first of a request's targets that gives a word. A target is passed over where it can't do what is asked, or
 * has failed lately; the next is tried before the first word only.
 */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { BrokenCircuitError, type CircuitBreakerPolicy, CircuitState, CountBreaker, circuitBreaker, handleWhen } from 'cockatiel';
import { Bus } from '#bus';
import { type Config, RoutingTable, type Target, environment } from '#config';
import { type EngineGeneration, type FailedTarget, MeshError, ModelName, OWN_PROVIDER, ProviderFeature, type ProviderStatus, type Route, normaliseModelName, parseOrThrow } from '#contracts';
import { isNodeFailure } from '#placement';
import { CONFIG, Logger } from '#runtime';
import { z } from 'zod';
import { begun } from './begun.js';
import { keyReader } from './key.js';
import { OllamaProvider } from './ollama-provider.js';
import { OpenAiProvider } from './openai-provider.js';
import { type Answering, type Asking, type EmbedRequest, type Lines, type Provider, type Vectors, featuresOf } from './provider.js';

/** Of its last ten requests half have failed, and three at least: a target is passed over for a while. */
const BREAKER = { threshold: 0.5, size: 10, minimumNumberOfCalls: 3 };
const LEFT_OUT_MS = 10_000;
/** Targets whose failures are remembered at most: requests may name any model of a provider. */
const MAX_BREAKERS = 1_000;
/** Characters of a failure's sentence that its request is told. */
const MAX_REASON = 300;

/** Where a request stands among its targets. */
export interface Progress {
  /** Not tried yet, in order. */
  readonly targets: readonly Target[];
  readonly tried?: readonly FailedTarget[] | undefined;
}

export interface RoutedAnswering extends Omit<Answering, 'handOver'> {
  /** Told once, before the first line: who answers. */
  readonly routed: (route: Route) => void;
  /** @param left what is left to try there, where there is more than `model` */
  readonly handOver: (model: string, error: MeshError, left?: Progress) => Promise<boolean>;
  readonly traceparent?: string | undefined;
}

export interface RoutedAsking extends Asking {
  readonly traceparent?: string | undefined;
}

@Injectable()
export class Routes implements OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #table: RoutingTable;
  readonly #own: Provider;
  readonly #others: readonly OpenAiProvider[];
  readonly #providers: ReadonlyMap<string, Provider>;
  readonly #breakers = new Map<string, CircuitBreakerPolicy>();
  readonly #log: Logger;

  constructor(bus: Bus, own: OllamaProvider, @Inject(CONFIG) config: Config, log: Logger) {
    this.#bus = bus;
    this.#log = log;
    this.#table = new RoutingTable(config, environment()['NODE_ENV']);
    this.#own = own;
    this.#others = Object.entries(config.providers).map(([name, provider]) => new OpenAiProvider(name, provider, keyReader(name, provider.key)));
    this.#providers = new Map([own, ...this.#others].map((provider: Provider) => [provider.info.name, provider]));
  }

  /**
   * Where answers of `asked` come from, in order; undefined for a model of the node's own engine.
   * @throws MeshError `model_not_found`, `invalid_request` for what is no model's name and names no provider
   */
  targetsOf(asked: string | undefined): readonly Target[] | undefined {
    const targets = this.#table.targetsOf(asked);
    if (!targets && asked !== undefined) parseOrThrow(z.object({ model: ModelName }), { model: asked });
    return targets;
  }

  /** @throws MeshError of the last target that failed, where none gives a first word, or of the one that broke off behind it */
  async *answer({ targets, tried = [] }: Progress, generation: EngineGeneration, answering: RoutedAnswering): Lines {
    let isElsewhere = false;
    const attempt = async (provider: Provider, target: Target, failed: readonly FailedTarget[]) => {
      const handOver: Answering['handOver'] = async (model, error) => {
        const left = { targets: targets.slice(targets.indexOf(target)), tried: [...failed, failedAt(target, error, `At node "${this.#bus.node}": `)] };
        return (isElsewhere = await answering.handOver(model, error, left));
      };
      const lines = await begun(answerOf(provider, target.model, generation, { ...answering, handOver }));
      if (!lines && !isElsewhere) throw new MeshError('engine_eof', `${target.name} ended its answer without a word.`);
      return lines;
    };
    const { result, route } = await this.#first({ targets, tried }, featuresOf(generation), answering, attempt);
    if (!result) return;
    answering.routed(route);
    yield* result;
  }

  /** @param targets undefined for a model of the node's own */
  async embed(targets: readonly Target[] | undefined, model: string | undefined, request: EmbedRequest, asking: RoutedAsking): Promise<Vectors & { route?: Route }> {
    if (!targets) return this.#own.embed(model, request, asking);
    const { result, route } = await this.#first({ targets }, ['embeddings'], asking, (provider, target) => provider.embed(target.model, request, asking));
    return { ...result, route: { ...route, model: result.model } };
  }

  /** Every provider, asked anew. */
  async list(signal: AbortSignal): Promise<ProviderStatus[]> {
    return Promise.all(
      [...this.#providers.values()].map(async (provider): Promise<ProviderStatus> => {
        const [health, models] = await Promise.all([provider.health(signal), provider.models(signal).catch((): string[] => [])]);
        return { node: this.#bus.node, ...provider.info, features: ProviderFeature.options.filter((feature) => provider.supports(feature)), ...health, models };
      }),
    );
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.#others.map((provider) => provider.close()));
  }

  /** What the first target gives that `attempt` does not fail at. */
  async #first<Result>(
    { targets, tried = [] }: Progress,
    needed: readonly ProviderFeature[],
    { signal, traceparent }: RoutedAsking,
    attempt: (provider: Provider, target: Target, failed: readonly FailedTarget[]) => Promise<Result>,
  ): Promise<{ result: Result; route: Route }> {
    const failed: FailedTarget[] = [...tried];
    let failure: MeshError | undefined;
    for (const target of targets) {
      const provider = this.#providers.get(target.provider);
      const lacking = provider && needed.find((feature) => !provider.supports(feature));
      if (!provider || lacking !== undefined) {
        failed.push({ target: target.name, code: 'unsupported', reason: provider ? `It does not do what this needs: ${lacking}.` : 'This node has no such provider.' });
        continue;
      }
      const span = this.#bus.tracer?.start(`ask ${target.name}`, 'client', traceparent, { 'gen_ai.provider.name': target.provider, 'gen_ai.request.model': target.model });
      try {
        const breaker = this.#breaker(target.name);
        if (breaker.state === CircuitState.HalfOpen) throw new BrokenCircuitError(); // It would wait for the one request that is the probe.
        const result = await breaker.execute(() => attempt(provider, target, [...failed]));
        span?.end();
        return { result, route: { provider: target.provider, model: modelOf(target, provider), tried: failed } };
      } catch (thrown) {
        const isLeftOut = thrown instanceof BrokenCircuitError;
        const error = isLeftOut ? new MeshError('provider_failed', `${target.name} failed lately, so that it is not asked for a while.`) : MeshError.from(thrown);
        span?.end(isLeftOut ? 'left_out' : error.code);
        if (signal.aborted) throw error;
        failed.push({ ...failedAt(target, error), ...(isLeftOut && { code: 'left_out' }) });
        if (!isLeftOut || !failure) failure = error;
      }
    }
    throw noneAnswered(failure, failed);
  }

  #breaker(target: string): CircuitBreakerPolicy {
    const known = this.#breakers.get(target);
    if (known) return known;
    const [oldest] = this.#breakers.keys();
    if (this.#breakers.size >= MAX_BREAKERS && oldest !== undefined) this.#breakers.delete(oldest);
    const breaker = circuitBreaker(handleWhen(isTargetFailure), { halfOpenAfter: LEFT_OUT_MS, breaker: new CountBreaker(BREAKER) });
    breaker.onBreak((reason) => this.#log.warn(`${target} is passed over for ${LEFT_OUT_MS / 1_000} s: ${'error' in reason ? MeshError.from(reason.error).message : 'it failed'}`));
    this.#breakers.set(target, breaker);
    return breaker;
  }
}

/** True for what counts against a target: its own failure, and not a full queue or what is wrong with the request. */
function isTargetFailure(thrown: Error): boolean {
  const { code, retryable } = MeshError.from(thrown);
  return code === 'provider_failed' ? retryable : isNodeFailure(thrown);
}

function failedAt({ name: target }: Target, { code, message }: MeshError, where = ''): FailedTarget {
  return { target, code, reason: `${where}${message}`.slice(0, MAX_REASON) };
}

/** As its provider spells it. */
function modelOf({ provider: name, model }: Target, { info }: Provider): string {
  const told = model ?? info.defaultModel ?? 'default';
  return name === OWN_PROVIDER ? (normaliseModelName(told) ?? told) : told;
}

function answerOf(provider: Provider, model: string | undefined, generation: EngineGeneration, answering: Answering): Lines {
  return generation.messages === undefined ? provider.generate(model, generation, answering) : provider.chat(model, generation, answering);
}

/** The last failure, with every target that was tried. */
function noneAnswered(failure: MeshError | undefined, tried: readonly FailedTarget[]): MeshError {
  if (!failure) return new MeshError('invalid_request', `No target can do what is asked: ${tried.map(({ target, reason }) => `${target}: ${reason}`).join(' ')}`, { details: { tried } });
  return new MeshError(failure.code, failure.message, { cause: failure, retryable: failure.retryable, details: { ...failure.details, tried } });
}
