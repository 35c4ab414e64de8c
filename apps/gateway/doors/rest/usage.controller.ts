/** The REST door to what requests took. */
import { Controller, Get, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import { callerOf, isOperator } from '../../guard/caller.js';
import { Usage } from '../../usage.js';

@ApiTags('models')
@Controller('usage')
export class UsageController {
  constructor(private readonly usage: Usage) {}

  @Get()
  @ApiOperation({ summary: 'Tokens, time and cost of what was asked of this gateway since its start, per model and per key' })
  totals(@Req() request: Request) {
    const caller = callerOf(request);
    return isOperator(caller) ? this.usage.totals() : this.usage.totals({ keyId: caller.keyId });
  }
}
