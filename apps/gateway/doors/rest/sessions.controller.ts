/** The REST and SSE door to sessions. */
import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { AddLink, AddMember, CreateSession, MeshError, Say, SessionId, SessionToken, UpdateSession, parseOrThrow } from '#contracts';
import { type Pass, Sessions } from '../../sessions/sessions.js';
import { COMMENT, openEventStream } from '../sse/sse.js';
import { SseSessionChannel, SseSessionListener } from '../sse/sse-session-listener.js';
import { askerOf } from './asker.js';
import { bearerOf } from './bearer.js';

/** Where a request says which session it is about, and by which right. */
const Given = z.object({ sessionId: SessionId, token: SessionToken.optional() });

const KEEP_ALIVE_MS = 15_000;
const RETRY_MS = 1_000;

@ApiTags('sessions')
@ApiBearerAuth()
@Controller('sessions')
export class SessionsController {
  readonly #channel = new SseSessionChannel();

  constructor(private readonly sessions: Sessions) {}

  @Post()
  @ApiOperation({ summary: 'Open a session; the token in the answer is its owner\'s' })
  create(@Body({ schema: CreateSession.prefault({}) }) request: CreateSession) {
    return this.sessions.create(request);
  }

  @Get(':id')
  @ApiOperation({ summary: 'The session as it is now: members, history, and the answer that runs' })
  view(@Param('id') id: string, @Headers('authorization') authorization: string | undefined) {
    return this.sessions.view(passOf(id, authorization));
  }

  @Patch(':id')
  @HttpCode(204)
  @ApiOperation({ summary: 'Change title, system prompt, model or how answers are made (owner)' })
  async update(
    @Param('id') id: string,
    @Headers('authorization') authorization: string | undefined,
    @Body({ schema: UpdateSession }) update: UpdateSession,
  ): Promise<void> {
    await this.sessions.update(passOf(id, authorization), update);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ summary: 'Close the session for everyone (owner)' })
  async close(@Param('id') id: string, @Headers('authorization') authorization: string | undefined): Promise<void> {
    await this.sessions.close(passOf(id, authorization));
  }

  @Post(':id/messages')
  @HttpCode(202)
  @ApiOperation({ summary: 'Ask; everyone in the session watches the stream that answers (owner, speaker)' })
  say(
    @Param('id') id: string,
    @Headers('authorization') authorization: string | undefined,
    @Req() request: Request,
    @Body({ schema: Say }) { content }: Say,
  ) {
    return this.sessions.say(passOf(id, authorization), content, askerOf(request));
  }

  @Post(':id/stop')
  @HttpCode(204)
  @ApiOperation({ summary: 'Stop the answer that runs (owner)' })
  async stop(@Param('id') id: string, @Headers('authorization') authorization: string | undefined): Promise<void> {
    await this.sessions.stop(passOf(id, authorization));
  }

  @Post(':id/members')
  @ApiOperation({ summary: 'Add a member; its token is told here alone (owner)' })
  addMember(@Param('id') id: string, @Headers('authorization') authorization: string | undefined, @Body({ schema: AddMember }) member: AddMember) {
    return this.sessions.addMember(passOf(id, authorization), member);
  }

  @Delete(':id/members/:memberId')
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove a member and cut its connections (owner)' })
  async removeMember(
    @Param('id') id: string,
    @Param('memberId') memberId: string,
    @Headers('authorization') authorization: string | undefined,
  ): Promise<void> {
    await this.sessions.removeMember(passOf(id, authorization), memberId);
  }

  @Get(':id/links')
  @ApiOperation({ summary: 'The watch links there are (owner)' })
  async links(@Param('id') id: string, @Headers('authorization') authorization: string | undefined) {
    return { links: await this.sessions.links(passOf(id, authorization)) };
  }

  @Post(':id/links')
  @ApiOperation({ summary: 'Make a watch link; its token is told here alone (owner)' })
  addLink(@Param('id') id: string, @Headers('authorization') authorization: string | undefined, @Body({ schema: AddLink.prefault({}) }) link: AddLink) {
    return this.sessions.addLink(passOf(id, authorization), link);
  }

  @Delete(':id/links/:linkId')
  @HttpCode(204)
  @ApiOperation({ summary: 'Revoke a watch link and cut everyone who came by it (owner)' })
  async revokeLink(
    @Param('id') id: string,
    @Param('linkId') linkId: string,
    @Headers('authorization') authorization: string | undefined,
  ): Promise<void> {
    await this.sessions.revokeLink(passOf(id, authorization), linkId);
  }

  @Get(':id/events')
  @ApiOperation({ summary: 'What happens in the session, as it happens; an EventSource sends its token as ?token=' })
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ description: 'session, then message, answer, presence …, closed' })
  async events(
    @Param('id') id: string,
    @Headers('authorization') authorization: string | undefined,
    @Query() query: Record<string, unknown>,
    @Res() response: Response,
  ): Promise<void> {
    const leave = await this.sessions.listen(passOf(id, authorization, query), (identity) => {
      if (response.destroyed) return undefined; // Nothing would ever say that it left.
      openEventStream(response);
      response.write(`retry: ${RETRY_MS}\n\n`);
      return new SseSessionListener(this.#channel, identity, response);
    });
    const keepAlive = setInterval(() => response.write(COMMENT), KEEP_ALIVE_MS);
    const part = () => {
      clearInterval(keepAlive);
      leave();
    };
    if (response.closed) part();
    else response.once('close', part);
  }
}

/** @throws MeshError `invalid_request` for what is no session id or token, `forbidden` without a token */
function passOf(id: string, authorization: string | undefined, { token: queried }: Record<string, unknown> = {}): Pass {
  const { sessionId, token } = parseOrThrow(Given, { sessionId: id, token: bearerOf(authorization) ?? queried });
  if (token === undefined) {
    throw new MeshError('forbidden', 'A session needs "Authorization: Bearer <token>", the token of a member or a watch link.');
  }
  return { sessionId, token };
}
