/** The REST door to what answers: every node's own engine and the servers elsewhere that it may ask. */
import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Bus } from '#bus';
import { type ProviderStatus, ProvidersList } from '#contracts';
import { askNodes } from '../../ask-nodes.js';
import { JoinedQuestion } from '../../joined-question.js';
import { MeshView } from '../../mesh-view.js';

@ApiTags('models')
@Controller('providers')
export class ProvidersController {
  /** Each is a question to every provider. */
  readonly #listing = new JoinedQuestion(() => this.#list());

  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The providers of every node: what each can do, whether it answers, and its models' })
  async list() {
    return { providers: await this.#listing.answer() };
  }

  async #list(): Promise<ProviderStatus[]> {
    const nodes = this.mesh.placement.nodes.map(({ node }) => node);
    const answers = await askNodes(this.mesh, nodes, (node) => this.bus.call(ProvidersList, {}, { node }));
    return answers.flatMap(({ providers }) => providers);
  }
}
