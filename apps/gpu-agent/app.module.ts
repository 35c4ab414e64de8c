/** gpu-agent: reports the machine's hardware. */
import { Module } from '@nestjs/common';
import { Bus } from '#bus';
import { environment } from '#config';
import { HardwareReader } from '#hardware';
import { GpuAgentController } from './gpu-agent.controller.js';
import { HardwareWatch } from './hardware-watch.js';

@Module({
  controllers: [GpuAgentController],
  providers: [{ provide: HardwareReader, inject: [Bus], useFactory: ({ node }: Bus) => new HardwareReader({ node, dockerHost: environment()['DOCKER_HOST'] }) }, HardwareWatch],
})
export class GpuAgentModule {}
