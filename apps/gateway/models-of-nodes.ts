/** The models of every node whose engine answers, asked anew, and once for all who ask together. */
import { Injectable } from '@nestjs/common';
import { Bus } from '#bus';
import { type Model, ModelsList } from '#contracts';
import { askNodes } from './ask-nodes.js';
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
    const answers = await askNodes(this.mesh, nodes, (node) => this.bus.call(ModelsList, {}, { node }));
    return answers.flatMap(({ models }) => models);
  }
}
