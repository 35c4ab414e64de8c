/** An app's metrics for Prometheus: one registry per app, since several may share a process, with what every app has to tell. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Bus } from '#bus';

type Labels = Record<string, string>;
/** What a metric is right now: a value for each set of labels. */
export type Sample = readonly [Labels, number];

export class AppMetrics {
  readonly #registry = new Registry();
  #hasProcess = false;

  constructor({ stats }: Pick<Bus, 'stats'>) {
    this.counter('ollamesh_bus_invalid_messages_total', 'Messages refused because they were not what contracts say.', [], () => [[{}, stats.invalidMessages]]);
    this.counter('ollamesh_bus_failed_handlers_total', 'Event handlers that threw.', [], () => [[{}, stats.failedHandlers]]);
    this.counter('ollamesh_bus_reconnects_total', 'Times the bus was lost and came back.', [], () => [[{}, stats.reconnects]]);
    this.counter('ollamesh_bus_requests_served_total', 'Requests of other apps that this one answered.', ['rpc', 'outcome'], () =>
      Object.entries(stats.served).flatMap(([rpc, { answered, failed }]): Sample[] => [
        [{ rpc, outcome: 'answered' }, answered],
        [{ rpc, outcome: 'failed' }, failed],
      ]),
    );
    this.counter('ollamesh_bus_requests_served_seconds_total', 'Time that answering them took.', ['rpc'], () =>
      Object.entries(stats.served).map(([rpc, { seconds }]): Sample => [{ rpc }, seconds]),
    );
  }

  /** A value that is read when somebody asks; a set of labels that is told no more is gone. */
  gauge(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Sample>): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        for (const [labels, value] of read()) gauge.set(labels, value);
      },
    });
  }

  /** A count that is kept where it happens; it is read when somebody asks. */
  counter(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Sample>): void {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const [labels, value] of read()) counter.inc(labels, value);
      },
    });
  }

  /** A count to be told of. */
  counting<Name extends string>(name: string, help: string, labelNames: readonly Name[]): Counter<Name> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  /** A distribution to be told of. @param buckets upper bounds, ascending */
  distribution<Name extends string>(name: string, help: string, labelNames: readonly Name[], buckets: readonly number[]): Histogram<Name> {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets: [...buckets], registers: [this.#registry] });
  }

  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';

  /** Everything, in Prometheus' text format. The process is told by whoever is asked first, so that it is told once. */
  text(): Promise<string> {
    if (!this.#hasProcess) collectDefaultMetrics({ register: this.#registry });
    this.#hasProcess = true;
    return this.#registry.metrics();
  }
}
