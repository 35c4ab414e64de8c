/** Ollama's API at `/api`: what generates and what tells. management.controller.ts changes what there is. */
import { Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiError, modelNotFound, notPulled } from '#ollama-wire';
import { AskedModel, MeshError, parseOrThrow } from '#contracts';
import { packageVersion } from '#runtime';
import { callerOf } from '../../guard/caller.js';
import { MeshView } from '../../mesh-view.js';
import { bodyText } from '../bodies.js';
import { DoorStreams } from '../door-streams.js';
import { tellModel, tellProvider } from '../route-headers.js';
import { Embeddings } from '../embeddings.js';
import { MeshModels } from '../mesh-models.js';
import { EnginePassage } from './engine-passage.js';
import { chatFormat, generateFormat } from './formats.js';
import { INVALID_NAME, type OllamaEmbedRequest, chatRequest, embedRequest, embeddingsRequest, generateRequest, jsonBody } from './requests.js';

@ApiTags('ollama')
@Controller('api')
export class OllamaController {
  constructor(
    private readonly streams: DoorStreams,
    private readonly embeddings: Embeddings,
    private readonly passage: EnginePassage,
    private readonly models: MeshModels,
    private readonly mesh: MeshView,
  ) {}

  @Get('version')
  @ApiOperation({ summary: "The engine's version: clients go by it" })
  async version() {
    const engines = await this.mesh.engines().catch(() => []);
    return { version: engines.find(({ version }) => version !== undefined)?.version ?? packageVersion() };
  }

  @Get('tags')
  @ApiOperation({ summary: 'The models of every engine' })
  async tags() {
    return { models: await this.models.tags() };
  }

  @Get('ps')
  @ApiOperation({ summary: 'The models in memory, of every engine' })
  async ps() {
    return { models: await this.models.loaded() };
  }

  @Post('show')
  @ApiOperation({ summary: "The engine's own description of a model" })
  async show(@Req() request: Request, @Res() response: Response): Promise<void> {
    const body = bodyText(request.body);
    const shown = this.models.shown(modelIn(body));
    if (shown) response.json(shown);
    else await this.passage.relay({ path: '/api/show', method: 'POST' }, body, response); // Which also says what is wrong with it.
  }

  @Post('chat')
  @ApiOperation({ summary: 'A chat, streamed as NDJSON unless stream is false' })
  async chat(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { model, stream, generation } = chatRequest(jsonBody(bodyText(request.body)));
    const wanted = { ...generation, model: parseOrThrow(AskedModel, model) };
    await this.streams.answer(request, response, wanted, stream, () => chatFormat(model)).catch(missing(modelNotFound(model), new ApiError(400, INVALID_NAME)));
  }

  @Post('generate')
  @ApiOperation({ summary: 'A completion, streamed as NDJSON unless stream is false' })
  async generate(@Req() request: Request, @Res() response: Response): Promise<void> {
    const { model, stream, generation } = generateRequest(jsonBody(bodyText(request.body)));
    const known = AskedModel.safeParse(model);
    if (!known.success) throw modelNotFound(model); // An impossible name and an unknown one are answered alike here.
    await this.streams.answer(request, response, { ...generation, model: known.data }, stream, () => generateFormat(model)).catch(missing(modelNotFound(model)));
  }

  @Post('embed')
  @HttpCode(200)
  @ApiOperation({ summary: 'Vectors of texts' })
  async embed(@Req() request: Request, @Res({ passthrough: true }) response: Response) {
    const wanted = embedRequest(jsonBody(bodyText(request.body)));
    const { embeddings, totalNs, loadNs, promptTokens } = await this.#embedded(wanted, request, response);
    if (wanted.input.length === 0) return { model: wanted.model, embeddings };
    return { model: wanted.model, embeddings, total_duration: totalNs, load_duration: loadNs, prompt_eval_count: promptTokens };
  }

  @Post('embeddings')
  @HttpCode(200)
  @ApiOperation({ summary: 'The vector of one text, as older clients ask for it' })
  async oneEmbedding(@Req() request: Request, @Res({ passthrough: true }) response: Response) {
    const { embeddings } = await this.#embedded(embeddingsRequest(jsonBody(bodyText(request.body))), request, response);
    return { embedding: embeddings[0] ?? [] };
  }

  async #embedded({ model, ...wanted }: OllamaEmbedRequest, request: Request, response: Response) {
    const known = AskedModel.safeParse(model);
    if (!known.success) throw notPulled(model);
    const left = new AbortController();
    response.once('close', () => left.abort());
    const embedded = await this.embeddings.embed({ ...wanted, model: known.data }, callerOf(request), left.signal).catch(missing(notPulled(model)));
    tellModel(response, embedded);
    tellProvider(response, embedded);
    return embedded;
  }
}

/** The model that a body names, if it is one that names any. */
function modelIn(body: string): string {
  try {
    const { model, name } = jsonBody(body) as { model?: unknown; name?: unknown };
    return String(model ?? name ?? '');
  } catch {
    return '';
  }
}

/**
 * Ollama's words where a model is not here; they differ from path to path. What went wrong is their cause.
 * @param impossible its words for what is no model's name and names no provider either
 */
function missing(words: ApiError, impossible = words): (thrown: unknown) => never {
  return (thrown) => {
    if (!(thrown instanceof MeshError)) throw thrown;
    if (thrown.code === 'model_not_found') throw Object.assign(words, { cause: thrown });
    throw isAboutName(thrown) ? impossible : thrown;
  };
}

function isAboutName({ code, details }: MeshError): boolean {
  const issues = details?.['issues'] as readonly { readonly reason?: unknown }[] | undefined;
  return code === 'invalid_request' && String(issues?.[0]?.reason).startsWith('is not a model name');
}
