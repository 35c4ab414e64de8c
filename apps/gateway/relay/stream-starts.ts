/**
 * How streams begin: at the node that suits them, at one other where that one refuses, and anew where their node vanishes before
 * anybody has seen a word. What becomes of a stream counts for or against its node.
 */
import type { Bus } from '#bus';
import { type ErrorBody, InferenceStart, MeshError, StreamFrames } from '#contracts';
import { isWorthAnotherNode } from '#placement';
import type { z } from 'zod';
import type { MeshView } from '../mesh-view.js';
import type { StreamRelay } from './stream-relay.js';

/** What becomes of a stream in this time, in milliseconds, counts for or against its node. */
const OUTCOME_MS = 10_000;
/** What requests may take that are kept for a second start, in characters; those beyond it have one only. */
const MAX_KEPT_CHARACTERS = 32 * 1024 * 1024;

type Request = z.input<typeof InferenceStart.request>;

/** What a second start of a stream needs, kept until its first word. */
interface Kept {
  readonly request: Request & { model: string };
  readonly traceparent: string | undefined;
  readonly characters: number;
}

export class StreamStarts {
  readonly #bus: Bus;
  readonly #mesh: MeshView;
  /** Of streams whose node is still to be judged by them. */
  readonly #outcomes = new Map<string, () => void>();
  readonly #kept = new Map<string, Kept>();
  #keptCharacters = 0;

  constructor(bus: Bus, mesh: MeshView) {
    this.#bus = bus;
    this.#mesh = mesh;
  }

  /** @throws MeshError of the first node that was asked */
  async start(relay: StreamRelay, request: Omit<Request, 'epoch'>, traceparent: string | undefined): Promise<z.output<typeof InferenceStart.reply>> {
    const tried = new Set<string>();
    let first: unknown;
    while (tried.size < 2) {
      const node = this.#mesh.nodeFor(request.model, tried);
      if (tried.has(node)) break;
      tried.add(node);
      try {
        // An epoch of its own: one that did not answer in time may have begun all the same.
        const epoch = tried.size;
        const start = () => this.#bus.call(InferenceStart, { ...request, epoch }, { node, traceparent });
        const started = await this.#mesh.placement.attempt(node, start, () => this.#outcome(relay, epoch));
        relay.node = node;
        this.#keep({ ...request, model: started.model, epoch }, traceparent);
        return started;
      } catch (thrown) {
        first ??= thrown;
        if (!isWorthAnotherNode(thrown)) break;
      }
    }
    throw first;
  }

  /**
   * Has another node begin a stream whose producer has vanished, where nobody has seen a word of it.
   * @param error what gateways that wait for a second start are told when there is none
   * @returns whether another node has it
   */
  async startAnew(relay: StreamRelay, error: ErrorBody): Promise<boolean> {
    const kept = this.release(relay.id);
    if (!kept) return false;
    // One that another node was handed meanwhile, and nobody heard of, would be the next epoch.
    const epoch = kept.request.epoch + 2;
    relay.ignoreBefore(epoch);
    const choice = this.#mesh.placement.choose(this.#mesh.placedBy(kept.request.model), new Set(relay.node === undefined ? [] : [relay.node]));
    try {
      if (!choice || choice.node === relay.node || choice.reason === 'could pull it' || choice.reason === 'its engine is coming') throw MeshError.fromBody(error);
      await this.#bus.call(InferenceStart, { ...kept.request, epoch, retried: true }, { node: choice.node, traceparent: kept.traceparent });
      relay.node = choice.node;
      return true;
    } catch {
      this.#bus.publish(StreamFrames, [{ epoch: epoch + 1, seq: 1, kind: 'error', error }], { id: relay.id });
      return false;
    }
  }

  /** A node says that it is at `epoch` of a stream: one that was handed over has had its second start. */
  heardOf(id: string, epoch: number): void {
    if (epoch > (this.#kept.get(id)?.request.epoch ?? Infinity)) this.release(id);
  }

  /** Somebody may have seen a word of it, or nobody will. */
  release(id: string): Kept | undefined {
    const kept = this.#kept.get(id);
    if (kept) this.#keptCharacters -= kept.characters;
    this.#kept.delete(id);
    return kept;
  }

  ended(id: string): void {
    this.release(id);
    this.#outcomes.get(id)?.();
  }

  #keep(request: Kept['request'], traceparent: string | undefined): void {
    const characters = JSON.stringify(request).length;
    if (this.#keptCharacters + characters > MAX_KEPT_CHARACTERS) return;
    this.#keptCharacters += characters;
    this.#kept.set(request.streamId, { request, traceparent, characters });
  }

  /** Settles when the stream has ended or gone on for a while; rejects where it failed, or went on at another node. */
  #outcome(relay: StreamRelay, epoch: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#outcomes.delete(relay.id);
        const { ending } = relay;
        if (ending?.kind === 'error') reject(MeshError.fromBody(ending.error));
        else if (relay.head.epoch > epoch) reject(new MeshError('engine_unavailable', 'It failed before its first word, and another node went on with it.'));
        else resolve();
      };
      const timer = setTimeout(settle, OUTCOME_MS).unref();
      this.#outcomes.set(relay.id, settle);
      if (!relay.live) settle();
    });
  }
}
