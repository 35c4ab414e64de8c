/** Aliases: names whose answers come from the first of several targets that gives one. The next is tried before the first word only. */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { CountBreaker, type CircuitBreakerPolicy, BrokenCircuitError, circuitBreaker, handleWhen } from 'cockatiel';
import { type Config, environment } from '#config';
import { type EngineGeneration, MeshError, isSameModel, normaliseModelName } from '#contracts';
import type { InferenceLine } from '#ollama';
import { CONFIG } from '#runtime';
import { OpenAiProvider } from './openai-provider.js';

/** Of its last ten requests half have failed, and three at least: a target is passed over for a while. */
const BREAKER = { threshold: 0.5, size: 10, minimumNumberOfCalls: 3 };
const LEFT_OUT_MS = 10_000;

export type Lines = AsyncGenerator<InferenceLine[]>;
/** What makes an answer with a model of the node's own engine. */
export type Local = (model: string) => Lines;

@Injectable()
export class Routes implements OnApplicationShutdown {
  readonly #aliases: Config['routing']['aliases'];
  readonly #providers: ReadonlyMap<string, OpenAiProvider>;
  readonly #breakers = new Map<string, CircuitBreakerPolicy>();

  constructor(@Inject(CONFIG) { providers, routing }: Config) {
    this.#aliases = routing.aliases;
    const env = environment();
    this.#providers = new Map(Object.entries(providers).map(([name, { url, key, timeoutMs }]) => [name, new OpenAiProvider(name, url, key && env[key.env], timeoutMs)]));
  }

  /** Where answers of `asked` come from, in order; undefined for a name that is no alias. */
  targetsOf(asked: string | undefined): readonly string[] | undefined {
    return asked === undefined ? undefined : Object.entries(this.#aliases).find(([alias]) => isSameModel(alias, asked))?.[1];
  }

  /** @throws MeshError of the last target, where none gives a first word, or of the one that broke off behind it */
  async *answer(targets: readonly string[], generation: EngineGeneration, local: Local, signal: AbortSignal): Lines {
    let failure: unknown;
    for (const target of targets) {
      const lines = this.#lines(target, generation, local, signal);
      let first: IteratorResult<InferenceLine[]>;
      try {
        first = await this.#breaker(target).execute(() => lines.next());
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        failure = thrown instanceof BrokenCircuitError ? (failure ?? new MeshError('provider_failed', `"${target}" failed lately, so that it is not asked for a while.`)) : thrown;
        continue;
      }
      if (first.done === true) return; // Another node has it now.
      yield first.value;
      yield* lines;
      return;
    }
    throw failure;
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#providers.values()].map((provider) => provider.close()));
  }

  #lines(target: string, generation: EngineGeneration, local: Local, signal: AbortSignal): Lines {
    const colon = target.indexOf(':');
    const [name, model] = [target.slice(0, colon), target.slice(colon + 1)];
    return this.#providers.get(name)?.chat(model, generation, signal) ?? local(normaliseModelName(model) ?? model);
  }

  #breaker(target: string): CircuitBreakerPolicy {
    const known = this.#breakers.get(target);
    if (known) return known;
    const breaker = circuitBreaker(handleWhen((thrown) => MeshError.from(thrown).retryable), { halfOpenAfter: LEFT_OUT_MS, breaker: new CountBreaker(BREAKER) });
    this.#breakers.set(target, breaker);
    return breaker;
  }
}
