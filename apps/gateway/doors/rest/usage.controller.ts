/** The REST door to what requests took. */
import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Usage } from '../../usage.js';

@ApiTags('models')
@Controller('usage')
export class UsageController {
  constructor(private readonly usage: Usage) {}

  @Get()
  @ApiOperation({ summary: 'Tokens, time and cost of what was asked of this gateway since its start, per model' })
  totals() {
    return this.usage.totals;
  }
}
