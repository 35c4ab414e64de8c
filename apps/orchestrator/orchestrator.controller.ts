/** What the orchestrator answers and hears on the bus. */
import { Controller } from '@nestjs/common';
import { Handle, On } from '#bus';
import { EngineDescribe, RollCall, ServicesList, ServicesRefresh, ServicesStart, ServicesStop, type ServiceWish } from '#contracts';
import { EngineRecord } from './engine-record.js';
import { Services } from './services/services.js';

@Controller()
export class OrchestratorController {
  constructor(
    private readonly record: EngineRecord,
    private readonly services: Services,
  ) {}

  @Handle(EngineDescribe)
  describe() {
    return this.record.current;
  }

  @Handle(ServicesList)
  async list() {
    return { services: await this.services.list() };
  }

  @Handle(ServicesStart)
  start({ service }: ServiceWish) {
    return this.services.start(service);
  }

  @Handle(ServicesRefresh)
  refresh({ service }: ServiceWish) {
    return this.services.refresh(service);
  }

  @Handle(ServicesStop)
  async stop() {
    this.services.stop();
    return { services: await this.services.list() };
  }

  @On(RollCall)
  rollCall(): void {
    this.record.publish();
  }
}
