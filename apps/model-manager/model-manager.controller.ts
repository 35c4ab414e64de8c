/** What model-manager answers and hears on the bus. */
import { Controller } from '@nestjs/common';
import { Handle, On, type ServeContext } from '#bus';
import {
  type Engine, EngineChanged, InferenceEmbed, InferenceStart, ModelsDelete, ModelsList, ModelsPull, ModelsPullCancel, ModelsPullStatus, ModelsPulls, ModelsShow, ProvidersList, StreamsWatched,
} from '#contracts';
import { readTarget } from '#config';
import type { z } from 'zod';
import { Benchmarks } from './benchmarks.js';
import { Catalogue } from './catalogue.js';
import { EngineLink } from './engine-link.js';
import { Producers } from './producers.js';
import { Routes } from './providers/routes.js';
import { Pulls } from './pulls.js';

@Controller()
export class ModelManagerController {
  constructor(
    private readonly engine: EngineLink,
    private readonly catalogue: Catalogue,
    private readonly pulls: Pulls,
    private readonly producers: Producers,
    private readonly benchmarks: Benchmarks,
    private readonly routes: Routes,
  ) {}

  @On(EngineChanged, { from: 'own' })
  engineChanged(engine: Engine): void {
    this.engine.update(engine);
  }

  @Handle(ModelsList)
  async list() {
    const models = await this.catalogue.list();
    return {
      models: await Promise.all(
        models.map(async (model) => {
          const benchmark = await this.benchmarks.find(model.name, model.digest);
          return { ...model, ...(benchmark && { benchmark }) };
        }),
      ),
    };
  }

  @Handle(ModelsShow)
  async show({ model }: z.output<typeof ModelsShow.request>) {
    return { model, show: await (await this.engine.client()).show(model) };
  }

  @Handle(ModelsDelete)
  async delete({ model }: z.output<typeof ModelsDelete.request>) {
    await (await this.engine.client()).delete(model);
    this.catalogue.forget();
    return { model };
  }

  @Handle(ModelsPull)
  pull({ model, policy }: z.output<typeof ModelsPull.request>) {
    return this.pulls.pull(model, policy);
  }

  @Handle(ModelsPulls)
  allPulls() {
    return { pulls: this.pulls.list() };
  }

  @Handle(ModelsPullCancel)
  cancelPull({ model }: z.output<typeof ModelsPullCancel.request>) {
    return this.pulls.cancel(model);
  }

  @Handle(ModelsPullStatus)
  pullStatus({ model }: z.output<typeof ModelsPullStatus.request>) {
    return this.pulls.status(model);
  }

  @Handle(InferenceStart)
  start({ streamId, epoch, ownerTokenHash, model, generation, ...options }: z.output<typeof InferenceStart.request>, { traceparent }: ServeContext) {
    return this.producers.start({ id: streamId, epoch, ownerTokenHash }, model, generation, { ...options, traceparent });
  }

  @Handle(InferenceEmbed)
  embed({ model, target, client = 'anyone', ...request }: z.output<typeof InferenceEmbed.request>, { signal, traceparent }: ServeContext) {
    return this.routes.embed(target === undefined ? this.routes.targetsOf(model) : [readTarget(target)], model, request, { signal, client, traceparent });
  }

  @Handle(ProvidersList)
  async providers(_request: object, { signal }: ServeContext) {
    return { providers: await this.routes.list(signal) };
  }

  @On(StreamsWatched)
  watched({ gateway, ids }: z.output<typeof StreamsWatched.payload>): void {
    this.producers.watched(gateway, ids);
  }
}
