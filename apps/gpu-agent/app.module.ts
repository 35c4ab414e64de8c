/** gpu-agent: reports the machine's hardware. */
import { Module } from '@nestjs/common';
import { Bus } from '#bus';
import { GpuAgentController } from './gpu-agent.controller.js';
import { HardwareReader } from './hardware-reader.js';
import { HardwareWatch } from './hardware-watch.js';

@Module({
  controllers: [GpuAgentController],
  providers: [{ provide: HardwareReader, inject: [Bus], useFactory: ({ node }: Bus) => new HardwareReader({ node }) }, HardwareWatch],
})
export class GpuAgentModule {}
