/** The REST door to models. */
import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Bus } from '#bus';
import { ModelName, ModelsDelete, ModelsList, ModelsPull, ModelsPullCancel, ModelsPullStatus, ModelsPulls, ModelsShow, PullModel } from '#contracts';
import { MeshView } from '../../mesh-view.js';

const NamedModel = z.strictObject({ model: ModelName });
type NamedModel = z.output<typeof NamedModel>;
const MaybeNamedModel = NamedModel.partial();
type MaybeNamedModel = z.output<typeof MaybeNamedModel>;

@ApiTags('models')
@Controller('models')
export class ModelsController {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The models that the engine has' })
  list() {
    return this.bus.call(ModelsList, {}, this.#there());
  }

  @Get('show')
  @ApiOperation({ summary: "The engine's own description of a model" })
  show(@Query({ schema: NamedModel }) { model }: NamedModel) {
    return this.bus.call(ModelsShow, { model }, this.#there());
  }

  @Post('pull')
  @HttpCode(202)
  @ApiOperation({ summary: 'Start a pull or join the one under way; follow it on /events' })
  pull(@Body({ schema: PullModel }) { model, policy }: PullModel) {
    return this.bus.call(ModelsPull, { model, ...(policy && { policy }) }, this.#there());
  }

  @Get('pull')
  @ApiOperation({ summary: 'How far a pull is that runs or ended within the last minute; without a model: every one' })
  pullStatus(@Query({ schema: MaybeNamedModel }) { model }: MaybeNamedModel) {
    return model === undefined ? this.bus.call(ModelsPulls, {}, this.#there()) : this.bus.call(ModelsPullStatus, { model }, this.#there());
  }

  @Delete('pull')
  @ApiOperation({ summary: 'Cancel a pull for everybody; what has come stays' })
  cancelPull(@Query({ schema: NamedModel }) { model }: NamedModel) {
    return this.bus.call(ModelsPullCancel, { model }, this.#there());
  }

  @Delete()
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove a model' })
  async remove(@Query({ schema: NamedModel }) { model }: NamedModel): Promise<void> {
    await this.bus.call(ModelsDelete, { model }, this.#there());
  }

  #there(): { node: string } {
    return { node: this.mesh.nodeForInference() };
  }
}
