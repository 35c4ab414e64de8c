/** The REST door to service definitions: which engines are described, and by which one the engine is made. */
import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Bus } from '#bus';
import { MeshError, ServicesList, ServicesRefresh, ServicesStart, ServicesStop, ServiceWish } from '#contracts';
import { MeshView } from '../../mesh-view.js';

const Node = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'is not the name of a node').optional();
const AtNode = z.strictObject({ node: Node });
type AtNode = z.output<typeof AtNode>;
const WishAtNode = ServiceWish.extend({ node: Node });
type WishAtNode = z.output<typeof WishAtNode>;

@ApiTags('services')
@Controller('services')
export class ServicesController {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The service definitions that a node knows' })
  async list(@Query({ schema: AtNode }) { node }: AtNode) {
    return this.bus.call(ServicesList, {}, await this.#at(node));
  }

  @Post('start')
  @HttpCode(202)
  @ApiOperation({ summary: 'Make the engine by a definition; follow it on /events' })
  async start(@Body({ schema: WishAtNode }) { service, node }: WishAtNode) {
    return this.bus.call(ServicesStart, { service }, await this.#at(node));
  }

  @Post('refresh')
  @HttpCode(200)
  @ApiOperation({ summary: "Fetch a repository's definition again" })
  async refresh(@Body({ schema: WishAtNode }) { service, node }: WishAtNode) {
    return this.bus.call(ServicesRefresh, { service }, await this.#at(node));
  }

  @Post('stop')
  @HttpCode(202)
  @ApiOperation({ summary: 'Go back to the engine that the configuration asks for' })
  async stop(@Body({ schema: AtNode }) { node }: AtNode) {
    return this.bus.call(ServicesStop, {}, await this.#at(node));
  }

  async #at(asked: string | undefined): Promise<{ node: string }> {
    if (asked !== undefined) return { node: asked };
    const [only, ...others] = (await this.mesh.engines()).map(({ node }) => node);
    if (only === undefined) throw new MeshError('engine_unavailable', 'No node with an orchestrator is in the mesh.');
    if (others.length > 0) throw new MeshError('invalid_request', `There are several nodes (${[only, ...others].join(', ')}): say which by "node".`, { details: { field: 'node' } });
    return { node: only };
  }
}
