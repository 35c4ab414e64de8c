/** Requests that pass through the mesh to an engine and back, word for word, at the pace of the slower side. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { Bus } from '#bus';
import { type AnswerPiece, EngineExchangeBegin, EngineExchangeEnd, EngineExchangeReceive, EngineExchangeSend, MeshError, type PassedOn, parseOrThrow, PassedOn as Passed } from '#contracts';
import { ApiError } from '#ollama-wire';
import { MeshView } from '../../mesh-view.js';

/** Bytes of a body that travel in one message. */
const PIECE_BYTES = 256 * 1024;

export interface EngineAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
}

@Injectable()
export class EnginePassage {
  constructor(
    private readonly bus: Bus,
    private readonly mesh: MeshView,
  ) {}

  /** Asks the engine of `node`, and gives back its whole answer, errors too. */
  async ask(node: string, to: PassedOn, body = ''): Promise<EngineAnswer> {
    const id = exchangeId();
    let piece = await this.bus.call(EngineExchangeBegin, { id, to, body }, { node });
    let text = piece.text;
    while (piece.more) {
      piece = { ...piece, ...(await this.bus.call(EngineExchangeReceive, { id }, { node })) };
      text += piece.text;
    }
    return { status: piece.status ?? 502, contentType: piece.contentType, text };
  }

  /** Asks the node that generates, and answers with what its engine says. */
  async relay(to: PassedOn, body: string, response: Response): Promise<void> {
    const node = this.mesh.nodeFor();
    const { status, contentType, text } = await this.ask(node, to, body);
    response.setHeader('x-ollamesh-node', node);
    send(response, status, contentType, text);
  }

  /**
   * Streams the request's body to the one engine there is, and its answer back.
   * @throws ApiError 501 where there are several: a model made on one would be missing on the others
   */
  async stream(to: unknown, request: IncomingMessage, response: Response): Promise<void> {
    const passed = parseOrThrow(Passed, to);
    const node = await this.#onlyNode(passed.path);
    const id = exchangeId();
    const target = { node };
    let left = false;
    let finished = false;
    response.once('close', () => {
      left = true;
      if (!finished) void this.bus.call(EngineExchangeEnd, { id }, target).catch(() => undefined); // It ends by itself then.
    });
    await this.bus.call(EngineExchangeBegin, { id, to: passed }, target);
    response.setHeader('x-ollamesh-node', node);
    try {
      await this.#upload(id, request, target);
    } catch (thrown) {
      if (left || !request.complete) return; // The client has gone in the middle, which is no fault of anybody here.
      throw thrown;
    }
    for (let more = true; more && !left; ) {
      const piece = await this.bus.call(EngineExchangeReceive, { id }, target);
      more = piece.more;
      await write(response, piece);
    }
    finished = true;
    response.end();
  }

  async #upload(id: string, request: IncomingMessage, target: { node: string }): Promise<void> {
    let waiting: Buffer[] = [];
    let bytes = 0;
    const send = async (last: boolean) => {
      const all = Buffer.concat(waiting);
      [waiting, bytes] = [[], 0];
      for (let at = 0; at === 0 || at < all.length; at += PIECE_BYTES) {
        const piece = all.subarray(at, at + PIECE_BYTES);
        const { answered } = await this.bus.call(EngineExchangeSend, { id, bytes: piece.toString('base64'), last: last && at + PIECE_BYTES >= all.length }, target);
        if (answered) return true;
      }
      return false;
    };
    for await (const chunk of request as AsyncIterable<Buffer>) {
      waiting.push(chunk);
      bytes += chunk.length;
      if (bytes >= PIECE_BYTES && (await send(false))) return;
    }
    await send(true);
  }

  async #onlyNode(path: string): Promise<string> {
    const nodes = (await this.mesh.engines()).filter(({ url }) => url !== undefined).map(({ node }) => node);
    const [only] = nodes;
    if (only === undefined) throw new MeshError('engine_unavailable', 'No engine answers in this mesh.');
    if (nodes.length > 1) throw new ApiError(501, `${path} works where a mesh has one engine; this one has ${nodes.length} (${nodes.join(', ')}), and the others would not have the model`);
    return only;
  }
}

function exchangeId(): string {
  return randomBytes(16).toString('base64url');
}

function send(response: Response, status: number, contentType: string | undefined, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(status, { ...(contentType !== undefined && { 'content-type': contentType }), 'content-length': body.length }).end(body);
}

async function write(response: Response, { status, contentType, text }: AnswerPiece): Promise<void> {
  if (!response.headersSent && status !== undefined) response.writeHead(status, contentType === undefined ? {} : { 'content-type': contentType });
  if (text === '' || response.destroyed) return;
  if (!response.write(text)) await new Promise<void>((resolve) => response.once('drain', resolve).once('close', () => resolve()));
}
