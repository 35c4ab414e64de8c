/** What the gateway hears on the bus. */
import { Controller } from '@nestjs/common';
import { On } from '#bus';
import { type Engine, EngineChanged, type Hardware, HardwareChanged, type Head, NodeAnnounced, type NodeStatus, type PullProgress, PullProgressed, StreamBeat } from '#contracts';
import { MeshView } from './mesh-view.js';
import { Relays } from './relay/relays.js';

@Controller()
export class MeshController {
  constructor(
    private readonly mesh: MeshView,
    private readonly relays: Relays,
  ) {}

  @On(EngineChanged)
  engine(data: Engine): void {
    this.mesh.take({ event: 'engine', data });
  }

  @On(HardwareChanged)
  hardware(data: Hardware): void {
    this.mesh.take({ event: 'hardware', data });
  }

  @On(PullProgressed)
  pull(data: PullProgress): void {
    this.mesh.take({ event: 'pull', data });
  }

  @On(NodeAnnounced)
  node(status: NodeStatus): void {
    this.mesh.placement.take(status);
  }

  @On(StreamBeat)
  beat({ heads }: { heads: Record<string, Head> }): void {
    this.relays.beat(heads);
  }
}
