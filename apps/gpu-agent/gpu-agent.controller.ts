/** What gpu-agent answers and hears on the bus. */
import { Controller } from '@nestjs/common';
import { Handle, On } from '#bus';
import { HardwareDescribe, HardwareWatched, RollCall } from '#contracts';
import { HardwareWatch } from './hardware-watch.js';

@Controller()
export class GpuAgentController {
  constructor(private readonly watch: HardwareWatch) {}

  @Handle(HardwareDescribe)
  describe() {
    return this.watch.read();
  }

  @On(RollCall)
  rollCall(): void {
    this.watch.repeat();
  }

  @On(HardwareWatched)
  watched(): void {
    this.watch.renewLease();
  }
}
