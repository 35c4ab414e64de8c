/** The models of every node whose engine answers, asked anew, and once for all who ask together. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Model, ModelsList } from '#contracts';
import { JoinedQuestion } from './joined-question.js';
import { MeshView } from './mesh-view.js';

@Injectable()
export class ModelsOfNodes {
  readonly #listing = new JoinedQuestion(() => this.#list());

  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  /** @throws MeshError of the first node where none answers */
  list(): Promise<Model[]> {
    return this.#listing.answer();
  }

  async #list(): Promise<Model[]> {
    const nodes = this.mesh.placement.nodes.filter(({ engine }) => engine === 'ready').map(({ node }) => node);
    const answers = await Promise.allSettled((nodes.length > 0 ? nodes : [this.mesh.nodeFor()]).map((node) => this.bus.call(ModelsList, {}, { node })));
    const here = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const [failure] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    if (here.length === 0 && failure !== undefined) throw failure;
    return here.flatMap(({ models }) => models);
  }
}
