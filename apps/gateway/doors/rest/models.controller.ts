/** The REST door to models. */
import { Body, Controller, Delete, Get, Headers, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Bus } from '#bus';
import { RoutingTable } from '#config';
import { BenchmarkModel, LoadModel, ModelName, ModelPriority, ModelTask, ModelsBenchmark, ModelsDelete, ModelsLoad, ModelsPull, ModelsPullCancel, ModelsPullStatus, ModelsPulls, ModelsShow, ModelsUnload, PullModel, isSubjectToken } from '#contracts';
import { Logger } from '#runtime';
import { ModelDigests } from '../../cache/model-digests.js';
import { MeshView } from '../../mesh-view.js';
import { ModelChooser } from '../../model-chooser.js';
import { ModelsOfNodes } from '../../models-of-nodes.js';
import { noneBeside } from '../mesh-models.js';

const NamedModel = z.strictObject({ model: ModelName });

const OfNode = z.strictObject({ node: z.string().refine(isSubjectToken, 'is not the name of a node').optional() });
type OfNode = z.output<typeof OfNode>;
/** Where a request that names no node goes is the mesh's choice. */
const PullOnNode = PullModel.extend(OfNode.shape);
type PullOnNode = z.output<typeof PullOnNode>;
const LoadOnNode = LoadModel.extend(OfNode.shape);
type LoadOnNode = z.output<typeof LoadOnNode>;
const BenchmarkOnNode = BenchmarkModel.extend(OfNode.shape);
type BenchmarkOnNode = z.output<typeof BenchmarkOnNode>;
const ModelOnNode = NamedModel.extend(OfNode.shape);
type ModelOnNode = z.output<typeof ModelOnNode>;
const Wanted = OfNode.extend({ task: ModelTask.default('chat'), priority: ModelPriority.default('quality') });
type Wanted = z.output<typeof Wanted>;

@ApiTags('models')
@Controller('models')
export class ModelsController {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
    private readonly digests: ModelDigests,
    private readonly inventory: ModelsOfNodes,
    private readonly chooser: ModelChooser,
    private readonly routing: RoutingTable,
    private readonly log: Logger,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The models that every engine has, which are in memory, and what else a request may name' })
  async list() {
    const routes = this.routing.names;
    return { models: await this.inventory.list().catch(noneBeside(routes, this.log)), routes };
  }

  @Get('recommended')
  @ApiOperation({ summary: 'Models for a task, best first: how each fits, the memory it takes, how fast it may be, and why it stands there' })
  recommended(@Query({ schema: Wanted }) { task, priority, node }: Wanted) {
    return this.chooser.recommend(task, priority, node);
  }

  @Get('show')
  @ApiOperation({ summary: "The engine's own description of a model" })
  show(@Query({ schema: ModelOnNode }) { model, node }: ModelOnNode, @Headers('traceparent') traceparent: string | undefined) {
    return this.bus.call(ModelsShow, { model }, this.#at(node, model, traceparent));
  }

  @Post('pull')
  @HttpCode(202)
  @ApiOperation({ summary: 'Start a pull or join the one under way; follow it on /events' })
  pull(@Body({ schema: PullOnNode }) { model, policy, node }: PullOnNode, @Headers('traceparent') traceparent: string | undefined) {
    return this.bus.call(ModelsPull, { model, ...(policy && { policy }) }, this.#at(node ?? this.mesh.nodeOfPull(model), model, traceparent));
  }

  @Get('pull')
  @ApiOperation({ summary: 'How far a pull is that runs or ended within the last minute' })
  pullStatus(@Query({ schema: ModelOnNode }) { model, node }: ModelOnNode) {
    return this.bus.call(ModelsPullStatus, { model }, this.#at(node ?? this.mesh.nodeOfPull(model), model));
  }

  @Get('pulls')
  @ApiOperation({ summary: 'Every pull of a node that waits, runs or ended within the last minute' })
  pulls(@Query({ schema: OfNode }) { node }: OfNode) {
    return this.bus.call(ModelsPulls, {}, this.#at(node));
  }

  @Delete('pull')
  @ApiOperation({ summary: 'Cancel a pull for everybody; what has come stays' })
  cancelPull(@Query({ schema: ModelOnNode }) { model, node }: ModelOnNode) {
    return this.bus.call(ModelsPullCancel, { model }, this.#at(node ?? this.mesh.nodeOfPull(model), model));
  }

  @Post('load')
  @HttpCode(200)
  @ApiOperation({ summary: 'Bring a model into memory; answers when it is there' })
  load(@Body({ schema: LoadOnNode }) { model, keepAlive, node }: LoadOnNode) {
    return this.bus.call(ModelsLoad, { model, ...(keepAlive !== undefined && { keepAlive }) }, this.#at(node, model));
  }

  @Post('unload')
  @HttpCode(200)
  @ApiOperation({ summary: 'Take a model out of memory; refused while it answers somebody' })
  unload(@Body({ schema: ModelOnNode }) { model, node }: ModelOnNode) {
    return this.bus.call(ModelsUnload, { model }, this.#at(node, model));
  }

  @Post('benchmark')
  @HttpCode(200)
  @ApiOperation({ summary: 'Measure a model that nobody uses meanwhile; answers when that is done' })
  benchmark(@Body({ schema: BenchmarkOnNode }) { model, repeats, node }: BenchmarkOnNode) {
    return this.bus.call(ModelsBenchmark, { ...(model !== undefined && { model }), ...(repeats !== undefined && { repeats }) }, this.#at(node, model));
  }

  @Delete()
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove a model' })
  async remove(@Query({ schema: ModelOnNode }) { model, node }: ModelOnNode, @Headers('traceparent') traceparent: string | undefined): Promise<void> {
    const there = this.#at(node, model, traceparent);
    await this.bus.call(ModelsDelete, { model }, there);
    this.digests.forget(there.node);
  }

  #at(node: string | undefined, model?: string, traceparent?: string): { node: string; traceparent: string | undefined } {
    return { node: node ?? this.mesh.nodeFor(model), traceparent };
  }
}
