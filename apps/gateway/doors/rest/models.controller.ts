/** The REST door to models. */
import { Body, Controller, Delete, Get, Headers, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Bus } from '#bus';
import { ModelName, ModelsDelete, ModelsList, ModelsPull, ModelsPullStatus, ModelsShow } from '#contracts';
import { ModelDigests } from '../../cache/model-digests.js';
import { MeshView } from '../../mesh-view.js';

const NamedModel = z.strictObject({ model: ModelName });
type NamedModel = z.output<typeof NamedModel>;

@ApiTags('models')
@Controller('models')
export class ModelsController {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
    private readonly digests: ModelDigests,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The models that the engine has' })
  list(@Headers('traceparent') traceparent: string | undefined) {
    return this.bus.call(ModelsList, {}, this.#there(traceparent));
  }

  @Get('show')
  @ApiOperation({ summary: "The engine's own description of a model" })
  show(@Query({ schema: NamedModel }) { model }: NamedModel, @Headers('traceparent') traceparent: string | undefined) {
    return this.bus.call(ModelsShow, { model }, this.#there(traceparent));
  }

  @Post('pull')
  @HttpCode(202)
  @ApiOperation({ summary: 'Start a pull or join the one under way; follow it on /events' })
  pull(@Body({ schema: NamedModel }) { model }: NamedModel, @Headers('traceparent') traceparent: string | undefined) {
    return this.bus.call(ModelsPull, { model }, this.#there(traceparent));
  }

  @Get('pull')
  @ApiOperation({ summary: 'How far a pull is that runs or ended within the last minute' })
  pullStatus(@Query({ schema: NamedModel }) { model }: NamedModel, @Headers('traceparent') traceparent: string | undefined) {
    return this.bus.call(ModelsPullStatus, { model }, this.#there(traceparent));
  }

  @Delete()
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove a model' })
  async remove(@Query({ schema: NamedModel }) { model }: NamedModel, @Headers('traceparent') traceparent: string | undefined): Promise<void> {
    const there = this.#there(traceparent);
    await this.bus.call(ModelsDelete, { model }, there);
    this.digests.forget(there.node);
  }

  #there(traceparent: string | undefined): { node: string; traceparent: string | undefined } {
    return { node: this.mesh.nodeForInference(), traceparent };
  }
}
