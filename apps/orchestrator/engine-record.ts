/** The engine's state as everyone sees it: one writer, legal transitions only, each published with its reason. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Engine, EngineChanged, type EngineStateName } from '#contracts';

const TRANSITIONS: Record<EngineStateName, readonly EngineStateName[]> = {
  absent: ['acquiring', 'creating', 'starting', 'failed', 'stopping'],
  acquiring: ['creating', 'starting', 'absent', 'failed', 'stopping'],
  creating: ['acquiring', 'starting', 'absent', 'failed', 'stopping'],
  // One way to a GPU after the other is tried before a driver gives up.
  starting: ['acquiring', 'creating', 'ready', 'restarting', 'absent', 'failed', 'stopping'],
  ready: ['degraded', 'restarting', 'stopping'],
  degraded: ['ready', 'restarting', 'stopping'],
  restarting: ['acquiring', 'creating', 'starting', 'absent', 'failed', 'stopping'],
  failed: ['absent', 'stopping'],
  stopping: ['stopped'],
  stopped: [],
};

/** What may change along with a state; fields left out stay as they are. */
export type EngineFacts = Partial<Omit<Engine, 'node' | 'state' | 'reason' | 'since'>>;

@Injectable()
export class EngineRecord {
  readonly #bus: Bus;
  #engine: Engine;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#engine = { node: bus.node, state: 'absent', reason: 'Not looked for yet.', since: new Date().toISOString(), choices: [], models: [] };
  }

  get current(): Engine {
    return this.#engine;
  }

  /**
   * Enters `state`, or stays in it with a new reason, and says so.
   * @throws RangeError for a transition that the state table does not have.
   */
  enter(state: EngineStateName, reason: string, facts: EngineFacts = {}): void {
    const from = this.#engine.state;
    if (state !== from && !TRANSITIONS[from].includes(state)) throw new RangeError(`An engine can't go from ${from} to ${state}.`);
    const since = state === from ? this.#engine.since : new Date().toISOString();
    this.#engine = { ...this.#engine, ...facts, state, reason, since };
    if (!['starting', 'ready', 'degraded'].includes(state)) {
      const { url: _url, version: _version, image: _image, gpu: _gpu, usage: _usage, ...gone } = this.#engine;
      this.#engine = gone;
    }
    if (state !== 'acquiring') {
      const { acquiredPercent: _percent, acquired: _acquired, ...acquired } = this.#engine;
      this.#engine = acquired;
    }
    this.publish();
  }

  /** Changes facts within a state, and says so. */
  note(facts: EngineFacts): void {
    this.#engine = { ...this.#engine, ...facts };
    this.publish();
  }

  /** Takes facts back that hold no more, and says so. */
  forget(...facts: ('preparing' | 'refused')[]): void {
    if (facts.every((fact) => this.#engine[fact] === undefined)) return;
    const left = { ...this.#engine };
    for (const fact of facts) delete left[fact];
    this.#engine = left;
    this.publish();
  }

  publish(): void {
    this.#bus.publish(EngineChanged, this.#engine);
  }
}
