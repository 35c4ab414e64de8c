/** Every stream this node produces or produced within the last minute, and the beat that says how far each is. */
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import { readTarget } from '#config';
import { AUTO, type EngineGeneration, type FailedTarget, type Head, MeshError, StreamBeat } from '#contracts';
import { isNodeFailure } from '#placement';
import { Peers } from './peers.js';
import { OllamaProvider } from './providers/ollama-provider.js';
import { Routes, type RoutedAnswering } from './providers/routes.js';
import { type StreamIdentity, StreamProducer } from './producer.js';
import { Unwatched } from './unwatched.js';

const BEAT_MS = 1_000;
/** How long an ended stream can be replayed. */
const ENDED_TTL_MS = 60_000;
/** A client that does not say who it is. */
const ANYONE = 'anyone';

export interface StartOptions {
  /** Cancels it when nobody has watched it for so long, in milliseconds. */
  readonly cancelUnwatchedMs?: number | undefined;
  /** Whose turn it takes. */
  readonly client?: string | undefined;
  /** Another node failed at it already. */
  readonly retried?: boolean | undefined;
  /** Where its answer may come from, in place of what its model stands for here, and what was tried elsewhere. */
  readonly targets?: readonly string[] | undefined;
  readonly tried?: readonly FailedTarget[] | undefined;
  /** W3C trace context. */
  readonly traceparent?: string | undefined;
}

@Injectable()
export class Producers implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #own: OllamaProvider;
  readonly #peers: Peers;
  readonly #routes: Routes;
  readonly #producers = new Map<string, StreamProducer>();
  readonly #runs = new Set<Promise<void>>();
  readonly #expiries = new Set<NodeJS.Timeout>();
  readonly #unwatched = new Unwatched();
  #beat: NodeJS.Timeout | undefined;

  constructor(bus: Bus, own: OllamaProvider, peers: Peers, routes: Routes) {
    this.#bus = bus;
    this.#own = own;
    this.#peers = peers;
    this.#routes = routes;
  }

  onApplicationBootstrap(): void {
    this.#beat = setInterval(() => {
      this.#publishBeat();
      // While the bus is away nobody can be heard.
      if (this.#bus.connected) for (const id of this.#unwatched.pass(BEAT_MS)) this.#producers.get(id)?.cancel();
    }, BEAT_MS);
  }

  /**
   * Starts a generation, or lets it wait for its turn; its frames follow on the stream's subject.
   * @throws MeshError `model_not_found`, `engine_unavailable`, `too_many_requests`; nothing has begun then.
   */
  async start(stream: Omit<StreamIdentity, 'model'>, asked: string | undefined, generation: EngineGeneration, options: StartOptions = {}): Promise<{ model: string; targets?: string[] }> {
    const { cancelUnwatchedMs, client = ANYONE, tried } = options;
    const targets = options.targets?.map(readTarget) ?? this.#routes.targetsOf(asked);
    const model = targets ? (asked ?? AUTO) : await this.#own.admit(asked, client);
    // After everything that waits: of two that ask at once the second is refused.
    if (this.#producers.has(stream.id)) throw new MeshError('invalid_request', 'A stream of this id exists.');
    const producer = new StreamProducer(this.#bus, { ...stream, model }, (gateway) => this.#unwatched.isWatchedElsewhere(stream.id, gateway));
    this.#producers.set(producer.id, producer);
    if (cancelUnwatchedMs !== undefined) this.#unwatched.add(producer.id, cancelUnwatchedMs);
    const answering = {
      client,
      traceparent: options.traceparent,
      announce: (status) => producer.announce(status),
      routed: (route) => producer.routed(route),
      handOver: this.#handOver(producer, stream, model, generation, options),
    } satisfies Omit<RoutedAnswering, 'signal'>;
    const lines = (signal: AbortSignal) =>
      targets ? this.#routes.answer({ targets, tried }, generation, { ...answering, signal }) : this.#own.answer(model, generation, { ...answering, signal });
    const run = producer.run(lines, generation.context !== undefined).finally(() => {
      this.#runs.delete(run);
      this.#unwatched.forget(producer.id);
      if (producer.handedOver) this.#forget(producer);
      else this.#expire(producer);
    });
    this.#runs.add(run);
    return { model, ...(targets && { targets: targets.map(({ name }) => name) }) };
  }

  /** What failed here before its first word is tried once elsewhere. */
  #handOver(
    producer: StreamProducer,
    { id: streamId, ...stream }: Omit<StreamIdentity, 'model'>,
    model: string,
    generation: EngineGeneration,
    { cancelUnwatchedMs, client = ANYONE, retried = false }: StartOptions,
  ): RoutedAnswering['handOver'] {
    return async (failing, error, left) => {
      if (retried || !isNodeFailure(error)) return false;
      const request = {
        ...stream, streamId, model, generation, client, retried: true,
        ...(cancelUnwatchedMs !== undefined && { cancelUnwatchedMs }),
        ...(left && { targets: left.targets.map(({ name }) => name), tried: [...(left.tried ?? [])] }),
      };
      if (!(await this.#peers.handOver(request, failing))) return false;
      producer.handOver();
      return true;
    };
  }

  /** A gateway has viewers of these streams. */
  watched(gateway: string, ids: readonly string[]): void {
    this.#unwatched.heard(gateway, ids);
  }

  /** Ends what lives with a retryable error, so that no viewer waits for frames that will not come. */
  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#beat);
    for (const producer of this.#producers.values()) producer.fail(new MeshError('unavailable', 'The model-manager is shutting down.'));
    await Promise.all(this.#runs);
    for (const expiry of this.#expiries) clearTimeout(expiry);
    await Promise.all([...this.#producers.values()].map((producer) => producer.dispose()));
  }

  #publishBeat(): void {
    if (this.#producers.size === 0) return;
    const heads: Record<string, Head> = {};
    for (const [id, producer] of this.#producers) heads[id] = producer.head;
    this.#bus.publish(StreamBeat, { heads });
  }

  #expire(producer: StreamProducer): void {
    const expiry = setTimeout(() => {
      this.#expiries.delete(expiry);
      this.#forget(producer);
    }, ENDED_TTL_MS);
    this.#expiries.add(expiry);
  }

  #forget(producer: StreamProducer): void {
    this.#producers.delete(producer.id);
    void producer.dispose();
  }
}
