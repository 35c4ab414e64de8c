/**
 * A request through a door that speaks another API: it becomes a stream like any other, which whoever asked watches in their
 * format. door-answer.ts writes what comes; the relay does everything else.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Config } from '#config';
import type { CreatedStream, StreamRequest } from '#contracts';
import { CONFIG } from '#runtime';
import { Relays } from '../relay/relays.js';
import { DoorAnswer, type DoorFormat } from './door-answer.js';

/**
 * Should this gateway vanish, the engine's work for it ends after so long, in milliseconds. A client that leaves ends it at once.
 * Viewers are told of every second: this must not take a busy process for a gone one.
 */
const GONE_GATEWAY_MS = 5_000;

@Injectable()
export class DoorStreams {
  readonly #bufferBytes: number;

  constructor(
    private readonly relays: Relays,
    @Inject(CONFIG) config: Config,
  ) {
    this.#bufferBytes = config.gateway.limits.viewerBufferBytes;
  }

  /**
   * Generates, and answers with all of it; settles when the answer is out or the client has left, which ends the generation
   * unless others watch it.
   * @param format makes the answer's format, once the model is known
   * @throws MeshError what went wrong before the first byte
   */
  async answer(request: Request, response: Response, wanted: StreamRequest, stream: boolean, format: (created: CreatedStream) => DoorFormat): Promise<void> {
    this.relays.refuseIfCrowded();
    const traceparent = request.get('traceparent');
    const created = await this.relays.create({ ...wanted, whenUnwatched: 'cancel' }, { traceparent, unwatchedGraceMs: GONE_GATEWAY_MS });
    const relay = await this.relays.get(created.id);
    tellStream(response, created, relay.node);
    const answer = new DoorAnswer(response, format(created), stream, this.#bufferBytes);
    const gone = () => {
      relay.leave(answer);
      answer.left();
      void this.relays.abandon(created.id, created.ownerToken);
    };
    if (response.closed || response.destroyed) return gone(); // Left before there was anything to leave: nothing would say so again.
    response.once('close', gone);
    relay.join(answer);
    await answer.ended;
  }
}

/** What every answer of a door says about itself. */
export function tellStream(response: Response, { id, model }: Pick<CreatedStream, 'id' | 'model'>, node: string | undefined): void {
  response.setHeader('x-ollamesh-stream', id);
  tellModel(response, model, node);
}

export function tellModel(response: Response, model: string, node: string | undefined): void {
  response.setHeader('x-ollamesh-model', model);
  if (node !== undefined) response.setHeader('x-ollamesh-node', node);
}
