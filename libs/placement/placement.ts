/** The nodes there are, by their own word, and which of them to leave out for a while because what they are given fails. */
import { BrokenCircuitError, type CircuitBreakerPolicy, CircuitState, CountBreaker, circuitBreaker, handleWhen } from 'cockatiel';
import { MeshError, type NodeStatus, modelKey } from '#contracts';
import { type Candidate, type Choice, chooseNode } from './choose-node.js';

/** A node that has said nothing for so long is gone, in milliseconds; it says something every two seconds. */
const SILENT_MS = 6_500;
/** Nodes remembered at most. */
const MAX_NODES = 10_000;
/** Of its last ten requests half have failed, and three at least: such a node gets none for a while, then one to try. */
const BREAKER = { threshold: 0.5, size: 10, minimumNumberOfCalls: 3 };
const LEFT_OUT_MS = 10_000;

interface Known {
  readonly status: NodeStatus;
  readonly heardAt: number;
  readonly models: ReadonlyMap<string, NodeStatus['models'][number]>;
}

interface Breaker {
  readonly policy: CircuitBreakerPolicy;
  openedAt: number;
}

export class Placement {
  readonly #own: string;
  readonly #now: () => number;
  readonly #nodes = new Map<string, Known>();
  readonly #breakers = new Map<string, Breaker>();

  /** @param own the node of whoever chooses; preferred among equals */
  constructor(own: string, now: () => number = () => performance.now()) {
    this.#own = own;
    this.#now = now;
  }

  /** A node's word on itself. */
  take(status: NodeStatus): void {
    if (this.#nodes.size >= MAX_NODES && !this.#nodes.has(status.node)) return;
    const models = new Map(status.models.map((model) => [modelKey(model.name), model]));
    this.#nodes.set(status.node, { status, heardAt: this.#now(), models });
  }

  /** The nodes that were heard lately. */
  get nodes(): NodeStatus[] {
    return [...this.#fresh()].map(({ status }) => status);
  }

  /**
   * Where a request for `model` goes; undefined where no node that may be asked is known.
   * @param model undefined for one that leaves it to the node
   * @param tried nodes that are out of question
   */
  choose(model: string | undefined, tried: ReadonlySet<string> = new Set()): Choice | undefined {
    const key = model && modelKey(model);
    // Where there is no other, one that fails is better than none: it may be well again by now.
    return chooseNode(this.#candidates(key, tried, false), this.#own) ?? chooseNode(this.#candidates(key, tried, true), this.#own);
  }

  /** True for a node that gets no requests now, since those it was given failed. */
  isLeftOut(node: string): boolean {
    const breaker = this.#breakers.get(node);
    if (!breaker || breaker.policy.state === CircuitState.Closed) return false;
    return breaker.policy.state !== CircuitState.Open || this.#now() < breaker.openedAt + LEFT_OUT_MS;
  }

  /**
   * Gives a request to `node` and watches what becomes of it; one for a node that is left out has no other to go to, and counts for nothing.
   * @param start rejects where it is refused
   * @param watch rejects where it fails soon after
   */
  attempt<Started>(node: string, start: () => Promise<Started>, watch: (started: Started) => Promise<void>): Promise<Started> {
    if (this.isLeftOut(node)) return start();
    return new Promise((resolve, reject) => {
      const run = async () => {
        const started = await start();
        resolve(started);
        await watch(started);
      };
      this.#breaker(node)
        .policy.execute(run)
        .catch((thrown: unknown) => reject(thrown instanceof BrokenCircuitError ? leftOut(node) : thrown)); // After the start nobody waits any more.
    });
  }

  *#candidates(key: string | undefined, tried: ReadonlySet<string>, leftOutToo: boolean): Generator<Candidate> {
    for (const { status, models } of this.#fresh()) {
      if (tried.has(status.node) || (!leftOutToo && this.isLeftOut(status.node))) continue;
      const { node, engine, parallel, running, waiting } = status;
      yield { node, engine, parallel, load: running + waiting, model: key === undefined ? ANY_MODEL : models.get(key) };
    }
  }

  *#fresh(): Generator<Known> {
    const since = this.#now() - SILENT_MS;
    for (const [node, known] of this.#nodes) {
      if (known.heardAt > since) {
        yield known;
      } else {
        this.#nodes.delete(node);
        this.#breakers.delete(node);
      }
    }
  }

  #breaker(node: string): Breaker {
    const known = this.#breakers.get(node);
    if (known) return known;
    const breaker: Breaker = { policy: circuitBreaker(handleWhen(isNodeFailure), { halfOpenAfter: LEFT_OUT_MS, breaker: new CountBreaker(BREAKER) }), openedAt: -Infinity };
    breaker.policy.onBreak(() => (breaker.openedAt = this.#now()));
    this.#breakers.set(node, breaker);
    return breaker;
  }
}

/** Which model it will be the node decides: only its load counts. */
const ANY_MODEL = { state: 'on-disk', running: 0, waiting: 0 } as const;

const NODE_FAILURES: ReadonlySet<string> = new Set(['engine_unavailable', 'engine_eof', 'engine_error', 'unavailable', 'deadline_exceeded', 'producer_lost', 'internal']);

/** True for what is the node's fault and not the request's: another node may do better. A 5xx counts however fast it came. */
export function isNodeFailure(thrown: unknown): boolean {
  const { code, details } = MeshError.from(thrown);
  if (code !== 'engine_error') return NODE_FAILURES.has(code);
  const status = details?.['status'];
  return typeof status !== 'number' || status >= 500;
}

/** True where the same request is worth giving to another node. */
export function isWorthAnotherNode(thrown: unknown): boolean {
  return isNodeFailure(thrown) || ['too_many_requests', 'engine_busy', 'model_not_found'].includes(MeshError.from(thrown).code);
}

function leftOut(node: string): MeshError {
  return new MeshError('unavailable', `What node "${node}" was given failed lately, so that it gets nothing for a while.`, { details: { node } });
}
