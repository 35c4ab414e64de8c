/** Where requests that pass through to the engine come in on the bus. */
import { Controller } from '@nestjs/common';
import { Handle } from '#bus';
import { EngineExchangeBegin, EngineExchangeEnd, EngineExchangeReceive, EngineExchangeSend } from '#contracts';
import type { z } from 'zod';
import { EngineExchanges } from './engine-exchanges.js';

@Controller()
export class EngineExchangesController {
  constructor(private readonly exchanges: EngineExchanges) {}

  @Handle(EngineExchangeBegin)
  begin({ id, to, body }: z.output<typeof EngineExchangeBegin.request>) {
    return this.exchanges.begin(id, to, body);
  }

  @Handle(EngineExchangeSend)
  send({ id, bytes, last }: z.output<typeof EngineExchangeSend.request>) {
    return this.exchanges.send(id, bytes, last);
  }

  @Handle(EngineExchangeReceive)
  receive({ id }: z.output<typeof EngineExchangeReceive.request>) {
    return this.exchanges.receive(id);
  }

  @Handle(EngineExchangeEnd)
  end({ id }: z.output<typeof EngineExchangeEnd.request>) {
    this.exchanges.end(id);
    return {};
  }
}
