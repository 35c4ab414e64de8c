/** Where a benchmark is asked for on the bus. */
import { Controller } from '@nestjs/common';
import { Handle, type ServeContext } from '#bus';
import { ModelsBenchmark } from '#contracts';
import type { z } from 'zod';
import { Benchmarks } from './benchmarks.js';

@Controller()
export class BenchmarksController {
  constructor(private readonly benchmarks: Benchmarks) {}

  @Handle(ModelsBenchmark)
  run({ model, repeats }: z.output<typeof ModelsBenchmark.request>, { signal }: ServeContext) {
    return this.benchmarks.run(model, repeats, signal);
  }
}
