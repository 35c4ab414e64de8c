/** The REST and SSE door to streams: create, watch, read, cancel. */
import { Body, Controller, Delete, Get, Headers, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { Config } from '#config';
import { CreateStream, type Head, MeshError, Position, StreamId, parseOrThrow } from '#contracts';
import { CONFIG } from '#runtime';
import { parsePosition } from '#streams';
import { callerOf, isOperator } from '../../guard/caller.js';
import { Intake } from '../../intake.js';
import { Relays } from '../../relay/relays.js';
import type { StreamRelay } from '../../relay/stream-relay.js';
import { tellProvider } from '../route-headers.js';
import { encodeEvent, openEventStream } from '../sse/sse.js';
import { SseTransport, SseViewer } from '../sse/sse-viewer.js';
import { CACHE_HEADER, askerOf, tellChoice } from './asker.js';
import { bearerOf } from './bearer.js';

const RETRY_MS = 1_000;

@ApiTags('streams')
@Controller('streams')
export class StreamsController {
  readonly #transport = new SseTransport();
  readonly #bufferBytes: number;

  constructor(
    private readonly intake: Intake,
    private readonly relays: Relays,
    @Inject(CONFIG) config: Config,
  ) {
    this.#bufferBytes = config.gateway.limits.viewerBufferBytes;
  }

  @Post()
  @ApiOperation({ summary: 'Start a generation, to watch by its id (application/json) or at once (text/event-stream)' })
  @ApiProduces('application/json', 'text/event-stream')
  async create(@Body({ schema: CreateStream }) generation: CreateStream, @Req() request: Request, @Res() response: Response): Promise<void> {
    const watches = request.accepts(['application/json', 'text/event-stream']) === 'text/event-stream';
    if (watches) this.relays.refuseIfCrowded(); // Before there is a stream that nobody would know of.
    const { cache, ...created } = await this.intake.create(generation, askerOf(request));
    response.setHeader(CACHE_HEADER, cache);
    tellChoice(response, created.choice);
    tellProvider(response, created);
    response.location(`/streams/${created.id}`);
    if (!watches) {
      response.status(201).json(created);
      return;
    }
    const relay = await this.relays.get(created.id);
    openEventStream(response);
    response.write(encodeEvent('created', created));
    this.#show(relay, response);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Watch a stream (text/event-stream) or read it as it is now (application/json)' })
  @ApiProduces('text/event-stream', 'application/json')
  @ApiOkResponse({ description: 'snapshot, delta …, then done or failed' })
  async watch(
    @Param('id') id: string,
    @Query('last_event_id') queried: string | undefined,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const streamId = parseId(id);
    const after = positionFrom(lastEventId ?? queried);
    const relay = await this.relays.get(streamId, after);
    if (request.accepts(['text/event-stream', 'application/json']) === 'application/json') {
      tellProvider(response, relay);
      response.json(relay.view());
      return;
    }
    if (after && relay.isTerminal(after)) {
      response.status(204).end();
      return;
    }
    this.relays.refuseIfCrowded();
    openEventStream(response);
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#show(relay, response, after);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiBearerAuth()
  @ApiOperation({ summary: 'Cancel a stream; the bearer token is its ownerToken, or the API key of an operator' })
  async cancel(@Param('id') id: string, @Req() request: Request): Promise<void> {
    const ownerToken = bearerOf(request.get('authorization'));
    if (isOperator(callerOf(request))) await this.relays.cancel(parseId(id), 'operator');
    else if (ownerToken !== undefined) await this.relays.cancel(parseId(id), { ownerToken });
    else throw new MeshError('forbidden', 'Cancelling needs "Authorization: Bearer <ownerToken>", the token that the creator got.');
  }

  #show(relay: StreamRelay, response: Response, after?: Head): void {
    const { socket } = response;
    if (!socket || socket.destroyed) {
      response.destroy(); // Gone while the stream was looked for: nothing would ever say that it left. Or behind another answer of its connection.
      return;
    }
    const viewer = new SseViewer(this.#transport, response, socket, this.#bufferBytes);
    socket.on('close', () => relay.leave(viewer));
    relay.join(viewer, after);
  }
}

function parseId(id: string): string {
  return parseOrThrow(z.object({ id: StreamId }), { id }).id;
}

function positionFrom(text: string | undefined): Head | undefined {
  if (text === undefined || text === '') return undefined;
  return parsePosition(parseOrThrow(z.object({ last_event_id: Position }), { last_event_id: text }).last_event_id);
}
