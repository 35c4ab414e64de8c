/** GET /metrics: the gateway for Prometheus. What it tells is registered in ../../observe. */
import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { AppMetrics } from '#runtime';

@ApiTags('mesh')
@Controller('metrics')
export class MetricsController {
  constructor(private readonly metrics: AppMetrics) {}

  @Get()
  @ApiOperation({ summary: 'What this gateway does and hears of the mesh, for Prometheus' })
  @ApiProduces('text/plain')
  async read(@Res() response: Response): Promise<void> {
    const text = await this.metrics.text();
    response.setHeader('content-type', this.metrics.contentType);
    response.end(text);
  }
}
