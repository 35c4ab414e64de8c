/** The models of every node whose engine answers, asked anew; what is remembered of them is the affair of whoever asks. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Model, ModelsList } from '#contracts';
import { MeshView } from './mesh-view.js';

@Injectable()
export class ModelsOfNodes {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  /** @throws MeshError of the first node where none answers */
  async list(traceparent?: string): Promise<Model[]> {
    const nodes = this.mesh.placement.nodes.filter(({ engine }) => engine === 'ready').map(({ node }) => node);
    const answers = await Promise.allSettled((nodes.length > 0 ? nodes : [this.mesh.nodeFor()]).map((node) => this.bus.call(ModelsList, {}, { node, traceparent })));
    const here = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const [failure] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    if (here.length === 0 && failure !== undefined) throw failure;
    return here.flatMap(({ models }) => models);
  }
}
