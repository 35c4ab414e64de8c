/** The REST door to models. */
import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Bus } from '#bus';
import { LoadModel, ModelName, ModelsDelete, ModelsList, ModelsLoad, ModelsPull, ModelsPullCancel, ModelsPullStatus, ModelsPulls, ModelsShow, ModelsUnload, PullModel } from '#contracts';
import { MeshView } from '../../mesh-view.js';

const NamedModel = z.strictObject({ model: ModelName });
type NamedModel = z.output<typeof NamedModel>;

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
  @ApiOperation({ summary: 'How far a pull is that runs or ended within the last minute' })
  pullStatus(@Query({ schema: NamedModel }) { model }: NamedModel) {
    return this.bus.call(ModelsPullStatus, { model }, this.#there());
  }

  @Get('pulls')
  @ApiOperation({ summary: 'Every pull that waits, runs or ended within the last minute' })
  pulls() {
    return this.bus.call(ModelsPulls, {}, this.#there());
  }

  @Delete('pull')
  @ApiOperation({ summary: 'Cancel a pull for everybody; what has come stays' })
  cancelPull(@Query({ schema: NamedModel }) { model }: NamedModel) {
    return this.bus.call(ModelsPullCancel, { model }, this.#there());
  }

  @Post('load')
  @HttpCode(200)
  @ApiOperation({ summary: 'Bring a model into memory; answers when it is there' })
  load(@Body({ schema: LoadModel }) { model, keepAlive }: LoadModel) {
    return this.bus.call(ModelsLoad, { model, ...(keepAlive !== undefined && { keepAlive }) }, this.#there());
  }

  @Post('unload')
  @HttpCode(200)
  @ApiOperation({ summary: 'Take a model out of memory; refused while it answers somebody' })
  unload(@Body({ schema: NamedModel }) { model }: NamedModel) {
    return this.bus.call(ModelsUnload, { model }, this.#there());
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
