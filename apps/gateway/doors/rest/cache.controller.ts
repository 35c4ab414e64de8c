/** The REST door to the response cache. */
import { Controller, Delete, Get, HttpCode } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { CacheStats } from '#contracts';
import { ResponseCache } from '../../cache/response-cache.js';

@ApiTags('mesh')
@Controller('cache')
export class CacheController {
  constructor(private readonly cache: ResponseCache) {}

  @Get()
  @ApiOperation({ summary: "What this gateway's response cache holds, and how often it had the answer" })
  stats(): CacheStats {
    return this.cache.stats;
  }

  @Delete()
  @HttpCode(204)
  @ApiOperation({ summary: 'Forget every answer (operator)' })
  clear(): void {
    this.cache.clear();
  }
}
