/** The AI SDK's door: `useChat({ transport: new DefaultChatTransport({ api: '…/ai/chat' }) })`, with resume and stop. */
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { MeshError } from '#contracts';
import { callerOf } from '../../guard/caller.js';
import { Relays } from '../../relay/relays.js';
import { DoorStreams } from '../door-streams.js';
import { Chats } from './chats.js';
import { uiMessageFormat } from './format.js';
import { ChatRequest, generationOf } from './requests.js';

@ApiTags('ai-sdk')
@Controller('ai/chat')
export class AiSdkController {
  constructor(
    private readonly streams: DoorStreams,
    private readonly relays: Relays,
    private readonly chats: Chats,
  ) {}

  @Post()
  @ApiOperation({ summary: 'Answer a chat as a UI-message stream; the answer goes on for a while when its reader leaves' })
  @ApiProduces('text/event-stream')
  async chat(@Body({ schema: ChatRequest }) chat: ChatRequest, @Req() request: Request, @Res() response: Response): Promise<void> {
    const created = await this.streams.create(request, response, { ...generationOf(chat), ...(chat.model !== undefined && { model: chat.model }) });
    this.chats.set(ownChat(request, chat.id), created);
    await this.streams.show(response, created.id, uiMessageFormat({ streamId: created.id, model: created.model }), true);
  }

  @Get(':id/stream')
  @ApiOperation({ summary: 'The answer that runs, from its start; 204 where none does' })
  @ApiProduces('text/event-stream')
  async resume(@Param('id') id: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    const answer = this.chats.get(ownChat(request, id));
    const relay = answer && (await this.relays.get(answer.id).catch(goneIsIdle));
    if (!relay?.live) {
      response.status(204).end();
      return;
    }
    this.relays.refuseIfCrowded();
    await this.streams.show(response, relay.id, uiMessageFormat({ streamId: relay.id, model: relay.model }), true);
  }

  @Post(':id/stop')
  @HttpCode(204)
  @ApiOperation({ summary: 'End the answer that runs, for everyone' })
  async stop(@Param('id') id: string, @Req() request: Request): Promise<void> {
    const answer = this.chats.get(ownChat(request, id));
    if (!answer) throw new MeshError('not_found', `No chat "${id}" has been answered by this gateway.`);
    await this.relays.cancel(answer.id, { ownerToken: answer.ownerToken });
  }

  @Delete(':id/stream')
  @HttpCode(204)
  @ApiOperation({ summary: 'The same' })
  async end(@Param('id') id: string, @Req() request: Request): Promise<void> {
    await this.stop(id, request);
  }
}

/** Chats are named by their clients: two callers may well choose the same name. */
function ownChat(request: Request, id: string): string {
  return `${callerOf(request).id} ${id}`;
}

/** @throws what else went wrong */
function goneIsIdle(thrown: unknown): undefined {
  const { code } = MeshError.from(thrown);
  if (code !== 'stream_gone' && code !== 'stream_not_found') throw thrown;
}
