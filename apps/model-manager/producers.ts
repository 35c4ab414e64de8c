/** Every stream this node produces or produced within the last minute, and the beat that says how far each is. */
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '#bus';
import { type EngineGeneration, type Head, MeshError, StreamBeat } from '#contracts';
import { Answers, type Job } from './answers.js';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { engineRequest } from './engine-request.js';
import { Routes } from './providers/routes.js';
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
}

@Injectable()
export class Producers implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #engine: EngineLink;
  readonly #catalogue: Catalogue;
  readonly #answers: Answers;
  readonly #routes: Routes;
  readonly #producers = new Map<string, StreamProducer>();
  readonly #runs = new Set<Promise<void>>();
  readonly #expiries = new Set<NodeJS.Timeout>();
  readonly #unwatched = new Unwatched();
  #beat: NodeJS.Timeout | undefined;

  constructor(bus: Bus, engine: EngineLink, catalogue: Catalogue, answers: Answers, routes: Routes) {
    this.#bus = bus;
    this.#engine = engine;
    this.#catalogue = catalogue;
    this.#answers = answers;
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
  async start(
    stream: Omit<StreamIdentity, 'model'>,
    asked: string | undefined,
    generation: EngineGeneration,
    { cancelUnwatchedMs, client = ANYONE, retried = false }: StartOptions = {},
  ): Promise<{ model: string }> {
    const targets = this.#routes.targetsOf(asked);
    const model = targets === undefined || asked === undefined ? await this.#local(asked, client) : asked;
    // After everything that waits: of two that ask at once the second is refused.
    if (this.#producers.has(stream.id)) throw new MeshError('invalid_request', 'A stream of this id exists.');
    const job: Job = { ...stream, model, generation, client, cancelUnwatchedMs, retried };
    const producer = new StreamProducer(this.#bus, { ...stream, model }, (gateway) => this.#unwatched.isWatchedElsewhere(stream.id, gateway));
    this.#producers.set(producer.id, producer);
    if (cancelUnwatchedMs !== undefined) this.#unwatched.add(producer.id, cancelUnwatchedMs);
    const answer = (of: string, signal: AbortSignal) => this.#answers.answer(producer, { ...job, model: of }, engineRequest(of, generation), signal);
    const local = async function* (this: Producers, of: string, signal: AbortSignal) {
      yield* answer(await this.#local(of, client), signal);
    }.bind(this);
    const lines = (signal: AbortSignal) => (targets ? this.#routes.answer(targets, generation, (of) => local(of, signal), signal) : answer(model, signal));
    const run = producer.run(lines, generation.context !== undefined).finally(() => {
      this.#runs.delete(run);
      this.#unwatched.forget(producer.id);
      if (producer.handedOver) this.#forget(producer);
      else this.#expire(producer);
    });
    this.#runs.add(run);
    return { model };
  }

  /** The model of this node's engine that `asked` means. @throws MeshError as `start` */
  async #local(asked: string | undefined, client: string): Promise<string> {
    await this.#engine.expect();
    const model = await this.#catalogue.resolve(asked);
    this.#answers.refuseIfFull(model, client);
    return model;
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
