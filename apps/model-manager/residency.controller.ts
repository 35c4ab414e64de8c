/** Where models are brought into memory and out of it on request. */
import { Controller } from '@nestjs/common';
import { Handle, On } from '#bus';
import { MeshError, ModelsLoad, ModelsUnload, type PullProgress, PullProgressed } from '#contracts';
import type { z } from 'zod';
import { Catalogue } from './catalogue.js';
import { Residency } from './residency.js';
import { Turns } from './scheduling/turns.js';

@Controller()
export class ResidencyController {
  constructor(
    private readonly catalogue: Catalogue,
    private readonly residency: Residency,
    private readonly turns: Turns,
  ) {}

  @Handle(ModelsLoad)
  async load({ model: asked, keepAlive }: z.output<typeof ModelsLoad.request>) {
    const model = await this.catalogue.resolve(asked);
    return { model, residency: await this.residency.load(model, keepAlive) };
  }

  /** A model that is to be kept warm may be one that only just came. */
  @On(PullProgressed, { from: 'own' })
  pulled({ model, status }: PullProgress): void {
    if (status === 'success' && this.residency.isWarm(model)) void this.residency.warmUp();
  }

  @Handle(ModelsUnload)
  async unload({ model: asked }: z.output<typeof ModelsUnload.request>) {
    const model = await this.catalogue.resolve(asked);
    const running = this.turns.runningOf(model);
    if (running > 0) {
      throw new MeshError('engine_busy', `"${model}" answers ${running} requests now. Unload it when they are done, or let its keep-alive do so.`, { details: { model, running } });
    }
    return { model, residency: await this.residency.unload(model) };
  }
}
