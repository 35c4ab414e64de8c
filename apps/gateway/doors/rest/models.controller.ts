/** The REST door to models. */
import { Body, Controller, Delete, Get, Headers, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Bus } from '#bus';
import { BenchmarkModel, LoadModel, ModelName, ModelsBenchmark, ModelsDelete, ModelsList, ModelsLoad, ModelsPull, ModelsPullCancel, ModelsPullStatus, ModelsPulls, ModelsShow, ModelsUnload, PullModel, isSubjectToken } from '#contracts';
import { ModelDigests } from '../../cache/model-digests.js';
import { JoinedQuestion } from '../../joined-question.js';
import { MeshView } from '../../mesh-view.js';

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

@ApiTags('models')
@Controller('models')
export class ModelsController {
  readonly #listing = new JoinedQuestion(() => this.#list());

  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
    private readonly digests: ModelDigests,
  ) {}

  @Get()
  @ApiOperation({ summary: 'The models that every engine has, and which are in memory' })
  list() {
    return this.#listing.answer();
  }

  async #list() {
    const nodes = this.mesh.placement.nodes.filter(({ engine }) => engine === 'ready').map(({ node }) => node);
    const answers = await Promise.allSettled((nodes.length > 0 ? nodes : [this.mesh.nodeFor()]).map((node) => this.bus.call(ModelsList, {}, { node })));
    const here = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const [failure] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    if (here.length === 0 && failure !== undefined) throw failure;
    return { models: here.flatMap(({ models }) => models) };
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
