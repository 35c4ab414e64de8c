/** OpenAI's API at `/v1`, for its SDKs and everything that is built on them. */
import { All, Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { AskedModel, MeshError, isSameModel, normaliseModelName, parseModelName, parseOrThrow } from '#contracts';
import { ApiError } from '#ollama-wire';
import { z } from 'zod';
import { callerOf } from '../../guard/caller.js';
import { bodyText } from '../bodies.js';
import { DoorStreams } from '../door-streams.js';
import { Embeddings } from '../embeddings.js';
import { type ListedModel, MeshModels } from '../mesh-models.js';
import { tellModel, tellProvider } from '../route-headers.js';
import { chatCompletionFormat, completionFormat } from './formats.js';
import { chatCompletionRequest, completionRequest, embeddingRequest } from './requests.js';
import { responsesFormat } from './responses-format.js';
import { responsesRequest } from './responses-request.js';

@ApiTags('openai')
@Controller('v1')
export class OpenAiController {
  constructor(
    private readonly streams: DoorStreams,
    private readonly embeddings: Embeddings,
    private readonly models: MeshModels,
  ) {}

  @Get('models')
  @ApiOperation({ summary: 'The models there are' })
  async list() {
    return { object: 'list', data: (await this.models.tags()).map((model) => described(model)) };
  }

  @Get('models/*name')
  @ApiOperation({ summary: 'One model' })
  async one(@Req() { path }: Request) {
    const asked = decoded(path.slice('/v1/models/'.length));
    const name = AskedModel.safeParse(asked).data;
    const model = name === undefined ? undefined : (await this.models.tags()).find((listed) => isSameModel(normaliseModelName(listed.name) ?? listed.name, name));
    if (!model) throw new MeshError('model_not_found', `The model '${asked}' does not exist here. To get it: ollamesh pull ${asked}`, { details: { model: asked } });
    return described(model, asked);
  }

  @Post('chat/completions')
  @ApiOperation({ summary: 'A chat, whole or as an event stream' })
  async chat(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { generation, stream, ...asked } = chatCompletionRequest(bodyText(request.body));
    await this.streams.answer(request, response, { ...generation, model: named(asked.model) }, stream, (created) => chatCompletionFormat(asked, created));
  }

  @Post('completions')
  @ApiOperation({ summary: 'A completion, whole or as an event stream' })
  async completion(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { generation, stream, ...asked } = completionRequest(bodyText(request.body));
    await this.streams.answer(request, response, { ...generation, model: named(asked.model) }, stream, (created) => completionFormat(asked, created));
  }

  @Post('responses')
  @ApiOperation({ summary: 'An answer in the newer form, whole or as an event stream; nothing of it is kept' })
  async respond(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { generation, stream, echo } = responsesRequest(bodyText(request.body));
    await this.streams.answer(request, response, { ...generation, model: named(echo.model) }, stream, (created) => responsesFormat(echo, created));
  }

  @Post('embeddings')
  @HttpCode(200)
  @ApiOperation({ summary: 'Vectors of texts' })
  async embed(@Req() request: Request, @Res({ passthrough: true }) response: Response) {
    const { model, input, dimensions, encoding_format: encoding, options, keep_alive: keepAlive } = embeddingRequest(bodyText(request.body));
    const left = new AbortController();
    response.once('close', () => left.abort());
    const embedded = await this.embeddings.embed({ model: named(model), input, dimensions, options, keepAlive }, callerOf(request), left.signal);
    tellModel(response, embedded);
    tellProvider(response, embedded);
    const data = embedded.embeddings.map((vector, index) => ({ object: 'embedding', index, embedding: encoding === 'base64' ? base64Of(vector) : vector }));
    return { object: 'list', data, model, usage: { prompt_tokens: embedded.promptTokens, total_tokens: embedded.promptTokens } };
  }
}

const METHODS: Readonly<Record<string, string>> = {
  '/v1/models': 'GET', '/v1/chat/completions': 'POST', '/v1/completions': 'POST', '/v1/embeddings': 'POST', '/v1/responses': 'POST',
};

@Controller('v1')
export class OpenAiElsewhereController {
  @All('{*path}')
  @ApiExcludeEndpoint()
  elsewhere(@Req() { path, method }: Request, @Res({ passthrough: true }) response: Response): never {
    const allow = METHODS[path.toLowerCase().replace(/\/$/, '')] ?? (/^\/v1\/models\//i.test(path) ? 'GET' : undefined);
    if (allow === undefined) throw new MeshError('not_found', `Invalid URL (${method} ${path})`);
    response.setHeader('allow', allow);
    throw new ApiError(405, `Not allowed to ${method} on ${path}: it takes ${allow}.`);
  }
}

function named(model: string): string {
  return parseOrThrow(z.object({ model: AskedModel }), { model }).model;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Then it is no model's name, which is said.
  }
}

function described({ name, modified_at: modified, targets }: ListedModel, id = name): object {
  const at = modified === undefined ? NaN : Date.parse(modified);
  const owner = targets ? 'ollamesh' : (parseModelName(name)?.namespace ?? 'library');
  return { id, object: 'model', created: Number.isNaN(at) ? 0 : Math.floor(at / 1_000), owned_by: owner, ...(targets && { targets }) };
}

/** Single-precision numbers, little-endian. */
function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}
