/** GET /metrics: the gateway for Prometheus, under the names and units of its conventions. */
import { Controller, Get, Header } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { Bus } from '#bus';
import { ResponseCache } from '../../cache/response-cache.js';
import { Relays } from '../../relay/relays.js';

@ApiTags('mesh')
@Controller('metrics')
export class MetricsController {
  /** One per app: several apps may share this process. */
  readonly #registry = new Registry();

  constructor(relays: Relays, bus: Bus, cache: ResponseCache) {
    const { stats } = relays;
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge('ollamesh_streams', 'Streams of this gateway.', ['state'], (gauge) => {
      gauge.set({ state: 'live' }, relays.counts.live);
      gauge.set({ state: 'finished' }, relays.counts.finished);
    });
    this.#gauge('ollamesh_finished_streams_bytes', 'Memory that finished streams take.', [], (gauge) => gauge.set(relays.finishedBytes));
    this.#gauge('ollamesh_viewers', 'Viewers of streams, on every transport.', [], (gauge) => gauge.set(relays.viewers));
    this.#gauge('ollamesh_relay_window_seconds', 'Time between writes of one stream by the coalescing law; 0: at once.', [], (gauge) => gauge.set(relays.windowMs / 1_000));
    this.#gauge('ollamesh_relay_write_cost_seconds', 'Measured processor time of one write to one viewer.', [], (gauge) => gauge.set(relays.writeCostMs / 1_000));
    this.#counter('ollamesh_relay_frames_total', 'Frames taken from the bus.', [], () => [[{}, stats.frames]]);
    this.#counter('ollamesh_relay_flushes_total', 'Changes written to all viewers of a stream; frames per flush is what coalescing saves.', [], () => [[{}, stats.flushes]]);
    this.#counter('ollamesh_relay_deliveries_total', 'Writes to single viewers.', [], () => [[{}, stats.deliveries]]);
    this.#counter('ollamesh_relay_joins_total', 'Viewers brought up to date, by how.', ['by'], () => [
      [{ by: 'start' }, stats.started],
      [{ by: 'resume' }, stats.resumed],
      [{ by: 'unknown_position' }, stats.unrecovered],
    ]);
    this.#counter('ollamesh_relay_slow_viewers_total', 'Viewers that fell behind: left until they drained, or disconnected.', ['outcome'], () => [
      [{ outcome: 'left_behind' }, stats.leftBehind],
      [{ outcome: 'disconnected' }, stats.stalled],
    ]);
    this.#counter('ollamesh_relay_replays_total', 'Times a producer was asked for frames again.', [], () => [[{}, stats.replays]]);
    this.#gauge('ollamesh_cache_entries', 'Answers in the response cache.', [], (gauge) => gauge.set(cache.stats.entries));
    this.#gauge('ollamesh_cache_bytes', 'Memory that the response cache takes.', [], (gauge) => gauge.set(cache.stats.bytes));
    this.#counter('ollamesh_cache_lookups_total', 'Generations by whether the response cache had the answer, or was not asked.', ['outcome'], () => [
      [{ outcome: 'hit' }, cache.stats.hits],
      [{ outcome: 'miss' }, cache.stats.misses],
      [{ outcome: 'bypass' }, cache.stats.bypassed],
    ]);
    this.#counter('ollamesh_cache_evictions_total', 'Answers that made room for others.', [], () => [[{}, cache.stats.evicted]]);
    this.#counter('ollamesh_bus_invalid_messages_total', 'Messages refused because they were not what contracts say.', [], () => [[{}, bus.stats.invalidMessages]]);
    this.#counter('ollamesh_bus_failed_handlers_total', 'Event handlers that threw.', [], () => [[{}, bus.stats.failedHandlers]]);
    this.#counter('ollamesh_bus_reconnects_total', 'Times the bus was lost and came back.', [], () => [[{}, bus.stats.reconnects]]);
  }

  @Get()
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  @ApiOperation({ summary: 'What this gateway does, for Prometheus' })
  @ApiProduces('text/plain')
  metrics(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, labelNames: string[], read: (gauge: Gauge) => void): void {
    const gauge: Gauge = new Gauge({ name, help, labelNames, registers: [this.#registry], collect: () => read(gauge) });
  }

  /** The count is kept where it happens; it is read when somebody asks. */
  #counter(name: string, help: string, labelNames: string[], read: () => [Record<string, string>, number][]): void {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const [labels, value] of read()) counter.inc(labels, value);
      },
    });
  }
}
