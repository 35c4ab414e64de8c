/** What the relay does, as metrics: streams, viewers, deliveries, the coalescing law, the cache, and who was kept out. */
import { Injectable } from '@nestjs/common';
import { AppMetrics } from '#runtime';
import { ResponseCache } from '../cache/response-cache.js';
import { SecurityLog } from '../guard/security-log.js';
import { Relays } from '../relay/relays.js';

@Injectable()
export class RelayMetrics {
  constructor(metrics: AppMetrics, relays: Relays, cache: ResponseCache, security: SecurityLog) {
    const { stats } = relays;
    metrics.gauge('ollamesh_streams', 'Streams of this gateway.', ['state'], () => [
      [{ state: 'live' }, relays.counts.live],
      [{ state: 'finished' }, relays.counts.finished],
    ]);
    metrics.gauge('ollamesh_streams_waiting', 'Live streams of this gateway that have no token yet, by what they wait for.', ['for'], () => {
      const { queued, loading } = relays.waiting;
      return [
        [{ for: 'queue' }, queued],
        [{ for: 'model' }, loading],
      ];
    });
    metrics.gauge('ollamesh_finished_streams_bytes', 'Memory that finished streams take.', [], () => [[{}, relays.finishedBytes]]);
    metrics.gauge('ollamesh_viewers', 'Viewers of streams, on every transport.', [], () => [[{}, relays.viewers]]);
    metrics.gauge('ollamesh_relay_window_seconds', 'Time between writes of one stream by the coalescing law; 0: at once.', [], () => [[{}, relays.windowMs / 1_000]]);
    metrics.gauge('ollamesh_relay_write_cost_seconds', 'Measured processor time of one write to one viewer.', [], () => [[{}, relays.writeCostMs / 1_000]]);
    metrics.counter('ollamesh_relay_frames_total', 'Frames taken from the bus.', [], () => [[{}, stats.frames]]);
    metrics.counter('ollamesh_relay_flushes_total', 'Changes written to all viewers of a stream; frames per flush is what coalescing saves.', [], () => [[{}, stats.flushes]]);
    metrics.counter('ollamesh_relay_deliveries_total', 'Writes to single viewers.', [], () => [[{}, stats.deliveries]]);
    metrics.counter('ollamesh_relay_joins_total', 'Viewers brought up to date, by how.', ['by'], () => [
      [{ by: 'start' }, stats.started],
      [{ by: 'resume' }, stats.resumed],
      [{ by: 'unknown_position' }, stats.unrecovered],
    ]);
    metrics.counter('ollamesh_relay_slow_viewers_total', 'Viewers that fell behind: left until they drained, or disconnected.', ['outcome'], () => [
      [{ outcome: 'left_behind' }, stats.leftBehind],
      [{ outcome: 'disconnected' }, stats.stalled],
    ]);
    metrics.counter('ollamesh_relay_replays_total', 'Times a producer was asked for frames again.', [], () => [[{}, stats.replays]]);
    metrics.gauge('ollamesh_cache_entries', 'Answers in the response cache.', [], () => [[{}, cache.stats.entries]]);
    metrics.gauge('ollamesh_cache_bytes', 'Memory that the response cache takes.', [], () => [[{}, cache.stats.bytes]]);
    metrics.counter('ollamesh_cache_lookups_total', 'Generations by whether the response cache had the answer, or was not asked.', ['outcome'], () => {
      const { hits, misses, bypassed } = cache.stats;
      return [
        [{ outcome: 'hit' }, hits],
        [{ outcome: 'miss' }, misses],
        [{ outcome: 'bypass' }, bypassed],
      ];
    });
    metrics.counter('ollamesh_cache_evictions_total', 'Answers that made room for others.', [], () => [[{}, cache.stats.evicted]]);
    metrics.counter('ollamesh_security_events_total', 'Requests that were refused by the guards, and connections cut with their key.', ['event'], () =>
      Object.entries(security.counts).map(([event, count]) => [{ event }, count]),
    );
  }
}
