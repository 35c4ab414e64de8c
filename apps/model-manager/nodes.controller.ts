/** What nodes say of themselves: heard here, and said again to whoever is new. */
import { Controller } from '@nestjs/common';
import { On } from '#bus';
import { NodeAnnounced, type NodeStatus, RollCall } from '#contracts';
import { Announcer } from './announcer.js';
import { Peers } from './peers.js';

@Controller()
export class NodesController {
  constructor(
    private readonly peers: Peers,
    private readonly announcer: Announcer,
  ) {}

  @On(NodeAnnounced)
  announced(status: NodeStatus): void {
    this.peers.take(status);
  }

  @On(RollCall)
  rollCall(): void {
    this.announcer.again();
  }
}
