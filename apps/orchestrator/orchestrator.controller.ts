/** What the orchestrator answers and hears on the bus. */
import { Controller } from '@nestjs/common';
import { Handle, On } from '#bus';
import { EngineDescribe, RollCall } from '#contracts';
import { EngineRecord } from './engine-record.js';

@Controller()
export class OrchestratorController {
  constructor(private readonly record: EngineRecord) {}

  @Handle(EngineDescribe)
  describe() {
    return this.record.current;
  }

  @On(RollCall)
  rollCall(): void {
    this.record.publish();
  }
}
