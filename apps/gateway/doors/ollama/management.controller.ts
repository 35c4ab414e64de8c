/** The part of Ollama's API that changes what models there are (the guard lets operators alone come here); and what a path or method gets that is none of Ollama's. */
import { All, Controller, Delete, Head, Param, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiError } from '#ollama-wire';
import { Bus } from '#bus';
import { MeshView } from '../../mesh-view.js';
import { bodyText } from '../bodies.js';
import { MeshModels } from '../mesh-models.js';
import { EnginePassage } from './engine-passage.js';
import { answerPull } from './pull.js';
import { jsonBody, pullRequest } from './requests.js';

@ApiTags('ollama')
@Controller('api')
export class OllamaManagementController {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
    private readonly passage: EnginePassage,
    private readonly models: MeshModels,
  ) {}

  @Post('pull')
  @ApiOperation({ summary: 'Pull a model, or join the pull under way; leaving it ends nothing' })
  async pull(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { model, stream } = pullRequest(jsonBody(bodyText(request.body)));
    await answerPull({ bus: this.bus, mesh: this.mesh }, model, stream, response);
  }

  @Delete('delete')
  @ApiOperation({ summary: 'Remove a model' })
  async remove(@Req() request: Request, @Res() response: Response): Promise<void> {
    await this.passage.relay({ path: '/api/delete', method: 'DELETE' }, bodyText(request.body), response);
    this.models.forget();
  }

  @Post('copy')
  @ApiOperation({ summary: 'Give a model a second name' })
  async copy(@Req() request: Request, @Res() response: Response): Promise<void> {
    await this.passage.relay({ path: '/api/copy', method: 'POST' }, bodyText(request.body), response);
    this.models.forget();
  }

  @Post('create')
  @ApiOperation({ summary: 'Make a model, by the engine, where there is one engine' })
  async create(@Req() request: Request, @Res() response: Response): Promise<void> {
    await this.passage.stream({ path: '/api/create', method: 'POST' }, request, response);
    this.models.forget();
  }

  @Post('push')
  @ApiOperation({ summary: 'Publish a model, by the engine, where there is one engine' })
  async push(@Req() request: Request, @Res() response: Response): Promise<void> {
    await this.passage.stream({ path: '/api/push', method: 'POST' }, request, response);
  }

  @Head('blobs/:digest')
  @ApiExcludeEndpoint()
  async hasBlob(@Param('digest') digest: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    await this.passage.stream({ path: '/api/blobs', method: 'HEAD', digest }, request, response);
  }

  @Post('blobs/:digest')
  @ApiOperation({ summary: 'Bring a blob that a model is to be made of' })
  async bringBlob(@Param('digest') digest: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    await this.passage.stream({ path: '/api/blobs', method: 'POST', digest }, request, response);
  }
}

/** Methods of each path, in Ollama's order. */
const METHODS: Readonly<Record<string, string>> = {
  version: 'HEAD, GET', tags: 'HEAD, GET', ps: 'GET',
  ...Object.fromEntries(['show', 'chat', 'generate', 'embed', 'embeddings', 'pull', 'copy', 'create', 'push'].map((path) => [path, 'POST'])),
  delete: 'DELETE',
};

@Controller('api')
export class OllamaElsewhereController {
  @All('{*path}')
  @ApiExcludeEndpoint()
  elsewhere(@Req() request: Request, @Res({ passthrough: true }) response: Response): never {
    const allow = METHODS[request.path.toLowerCase().replace(/^\/api\/?/, '').replace(/\/$/, '')];
    if (allow === undefined) throw new ApiError(404, '404 page not found', 'text/plain');
    response.setHeader('allow', allow);
    throw new ApiError(405, '405 method not allowed', 'text/plain');
  }
}
