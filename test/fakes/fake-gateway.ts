/** The relays of one gateway on a bus of their own, with a producer to drive and viewers to watch, without any door. */
import { FinishedStreams } from '../../apps/gateway/relay/finished-streams.js';
import { KnownAnswers } from '../../apps/gateway/cache/known-answers.js';
import { ModelDigests } from '../../apps/gateway/cache/model-digests.js';
import { ResponseCache } from '../../apps/gateway/cache/response-cache.js';
import { Intake } from '../../apps/gateway/intake.js';
import { MeshView } from '../../apps/gateway/mesh-view.js';
import { ModelChooser } from '../../apps/gateway/model-chooser.js';
import { ModelsOfNodes } from '../../apps/gateway/models-of-nodes.js';
import { Generations } from '../../apps/gateway/observe/generations.js';
import { type RelayTimings, Relays } from '../../apps/gateway/relay/relays.js';
import { SessionRecords } from '../../apps/gateway/sessions/session-records.js';
import { SessionAnswers } from '../../apps/gateway/sessions/session-answers.js';
import { Sessions } from '../../apps/gateway/sessions/sessions.js';
import { MemoryBucket } from '../../libs/bus/storage/memory-bucket.js';
import type { Bucket, Bus } from '#bus';
import { Config, type ConfigInput, RoutingTable } from '#config';
import { type Head, StreamBeat } from '#contracts';
import { AppMetrics, Logger } from '#runtime';
import { parsePosition } from '#streams';
import { FakeTransport, FakeViewer } from './fake-viewer.js';

type Limits = NonNullable<NonNullable<ConfigInput['gateway']>['limits']>;

/** So long that nothing happens by itself. */
const NEVER_MS = 3_600_000;
export const STILL: RelayTimings = { tickMs: NEVER_MS, producerLostMs: NEVER_MS, busLostMs: NEVER_MS, keepAliveMs: NEVER_MS };

export interface FakeGateway {
  readonly bus: Bus;
  readonly intake: Intake;
  readonly relays: Relays;
  readonly mesh: MeshView;
  readonly sessions: Sessions;
  readonly transport: FakeTransport;
  /** A new viewer of a stream, from `after` where given. */
  watch(id: string, after?: string): Promise<FakeViewer>;
}

/** Sessions that several gateways share, as they do in JetStream. */
export function sessionBucket(maxEntries = 100): Bucket {
  return new MemoryBucket({ name: 'sessions', ttlMs: NEVER_MS, maxEntries, whenFull: 'refuse' }, 1024 * 1024);
}

export interface FakeGatewayOptions {
  readonly limits?: Limits;
  readonly timings?: Partial<RelayTimings>;
  readonly kept?: FinishedStreams;
  readonly sessionsIn?: Bucket;
}

export function openGateway(bus: Bus, options: FakeGatewayOptions = {}): FakeGateway {
  const { limits = {}, timings = STILL, kept = new FinishedStreams(undefined, 0, { warn: () => undefined }), sessionsIn = sessionBucket() } = options;
  const config = Config.parse({ gateway: { limits } });
  const routing = new RoutingTable(config, undefined);
  const mesh = new MeshView(bus, routing);
  const relays = new Relays(bus, mesh, config, kept, { ...STILL, ...timings });
  const inventory = new ModelsOfNodes(bus, mesh);
  const intake = new Intake(relays, new ModelChooser(mesh, inventory, routing), new KnownAnswers(new ResponseCache(config), new ModelDigests(bus, mesh), mesh, routing, config), new Generations(new AppMetrics(bus), bus), config);
  const records = new SessionRecords(sessionsIn);
  const sessions = new Sessions(bus, new SessionAnswers(bus, relays, intake, records, inventory, config), records, config, new Logger({ app: 'gateway', level: 'warn', format: 'line' }));
  sessions.onApplicationBootstrap();
  relays.onApplicationBootstrap();
  bus.subscribe(StreamBeat, ({ heads }: { heads: Record<string, Head> }) => relays.beat(heads));
  const transport = new FakeTransport();
  return {
    bus,
    intake,
    relays,
    mesh,
    sessions,
    transport,
    watch: async (id, after) => {
      const viewer = new FakeViewer(transport);
      const seen = after === undefined ? undefined : parsePosition(after);
      (await relays.get(id, seen)).join(viewer, seen);
      return viewer;
    },
  };
}
