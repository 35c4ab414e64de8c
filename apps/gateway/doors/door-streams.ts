/**
 * A request through a door that speaks another API: it becomes a stream like any other, which whoever asked watches in their
 * format. door-answer.ts writes what comes; the relay does everything else.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Config } from '#config';
import type { CreatedStream, StreamRequest } from '#contracts';
import { CONFIG } from '#runtime';
import { Intake } from '../intake.js';
import { Relays } from '../relay/relays.js';
import type { StreamRelay } from '../relay/stream-relay.js';
import { CACHE_HEADER, askerOf, tellChoice } from './rest/asker.js';
import { DoorAnswer, type DoorFormat } from './door-answer.js';
import { tellModel, tellProvider } from './route-headers.js';

/**
 * Should this gateway vanish, the engine's work for it ends after so long, in milliseconds: as long as a gateway waits for a bus that
 * is away. A client that leaves ends it at once.
 */
const GONE_GATEWAY_MS = 15_000;

@Injectable()
export class DoorStreams {
  readonly #bufferBytes: number;

  constructor(
    private readonly intake: Intake,
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
    const created = await this.create(request, response, wanted, GONE_GATEWAY_MS);
    await this.show(response, created.id, format(created), stream, () => void this.relays.abandon(created.id, created.ownerToken));
  }

  /**
   * Starts a generation that goes on when its client leaves, and ends when nobody has watched it for a while.
   * @param unwatchedGraceMs how long that is, unless it is what it is everywhere
   * @throws MeshError of model-manager, or `unavailable`; no stream exists then
   */
  async create(request: Request, response: Response, wanted: StreamRequest, unwatchedGraceMs?: number): Promise<CreatedStream> {
    this.relays.refuseIfCrowded();
    const asker = { ...askerOf(request), ...(unwatchedGraceMs !== undefined && { unwatchedGraceMs }) };
    const { cache, ...created } = await this.intake.create({ ...wanted, whenUnwatched: 'cancel' }, asker);
    response.setHeader(CACHE_HEADER, cache);
    tellChoice(response, created.choice);
    return created;
  }

  /**
   * Answers with a stream from its start; settles when the answer is out or the client has left.
   * @param left called when the response has closed, whatever for
   * @throws MeshError what went wrong before the first byte
   */
  async show(response: Response, id: string, format: DoorFormat, stream: boolean, left?: () => void): Promise<void> {
    const relay = await this.relays.get(id);
    tellStream(response, relay);
    const head = { tell: () => tellProvider(response, relay), waits: relay.targets !== undefined };
    const answer = new DoorAnswer(response, format, stream, this.#bufferBytes, head);
    const gone = () => {
      relay.leave(answer);
      answer.left();
      left?.();
    };
    if (response.closed || response.destroyed) return gone(); // Left before there was anything to leave: nothing would say so again.
    response.once('close', gone);
    relay.join(answer);
    await answer.ended;
  }
}

/** What every answer of a door says about itself. */
function tellStream(response: Response, { id, model, node }: StreamRelay): void {
  response.setHeader('x-ollamesh-stream', id);
  tellModel(response, { model, node });
}
