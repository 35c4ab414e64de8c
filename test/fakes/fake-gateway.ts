/** The relays of one gateway on a bus of their own, with a producer to drive and viewers to watch, without any door. */
import { MeshView } from '../../apps/gateway/mesh-view.js';
import { type RelayTimings, Relays } from '../../apps/gateway/relay/relays.js';
import type { Bus } from '#bus';
import { Config, type ConfigInput } from '#config';
import { type Head, StreamBeat } from '#contracts';
import { parsePosition } from '#streams';
import { FakeTransport, FakeViewer } from './fake-viewer.js';

type Limits = NonNullable<NonNullable<ConfigInput['gateway']>['limits']>;

/** So long that nothing happens by itself. */
const NEVER_MS = 3_600_000;
export const STILL: RelayTimings = { tickMs: NEVER_MS, producerLostMs: NEVER_MS, busLostMs: NEVER_MS, keepAliveMs: NEVER_MS };

export interface FakeGateway {
  readonly bus: Bus;
  readonly relays: Relays;
  readonly transport: FakeTransport;
  /** A new viewer of a stream, from `after` where given. */
  watch(id: string, after?: string): Promise<FakeViewer>;
}

export function openGateway(bus: Bus, { limits = {}, timings = STILL }: { limits?: Limits; timings?: Partial<RelayTimings> } = {}): FakeGateway {
  const relays = new Relays(bus, new MeshView(bus), Config.parse({ gateway: { limits } }), { ...STILL, ...timings });
  relays.onApplicationBootstrap();
  bus.subscribe(StreamBeat, ({ heads }: { heads: Record<string, Head> }) => relays.beat(heads));
  const transport = new FakeTransport();
  return {
    bus,
    relays,
    transport,
    watch: async (id, after) => {
      const viewer = new FakeViewer(transport);
      const seen = after === undefined ? undefined : parsePosition(after);
      (await relays.get(id, seen)).join(viewer, seen);
      return viewer;
    },
  };
}
