/**
 * Requests of Ollama's API that the engine itself answers, word for word: what the mesh has no view of its own on. Bodies of any
 * length go both ways in pieces that fit in a message, each one asked for, so that neither side is flooded.
 */
import { z } from 'zod';
import { rpc } from './define.js';

/** The whole list of what passes. */
export const PassedOn = z.discriminatedUnion('path', [
  z.object({ path: z.literal('/api/tags'), method: z.literal('GET') }),
  z.object({ path: z.literal('/api/ps'), method: z.literal('GET') }),
  z.object({ path: z.literal('/api/show'), method: z.literal('POST') }),
  z.object({ path: z.literal('/api/copy'), method: z.literal('POST') }),
  z.object({ path: z.literal('/api/delete'), method: z.literal('DELETE') }),
  z.object({ path: z.literal('/api/create'), method: z.literal('POST') }),
  z.object({ path: z.literal('/api/push'), method: z.literal('POST') }),
  z.object({ path: z.literal('/api/blobs'), method: z.enum(['HEAD', 'POST']), digest: z.string().regex(/^sha256[:-][0-9a-fA-F]{64}$/, 'is not a digest') }),
]);
export type PassedOn = z.infer<typeof PassedOn>;

const ExchangeId = z.string().regex(/^[A-Za-z0-9_-]{22}$/);

const AnswerPiece = z.object({
  /** Once the engine has said it. */
  status: z.int().optional(),
  contentType: z.string().optional(),
  text: z.string(),
  /** Ask again with `engine.exchange.receive`. */
  more: z.boolean(),
});
export type AnswerPiece = z.infer<typeof AnswerPiece>;

/** With `body` the request is whole and the reply is the beginning of its answer; without, `send` brings the body. */
export const EngineExchangeBegin = rpc('engine.exchange.begin', 'model-manager', z.object({ id: ExchangeId, to: PassedOn, body: z.string().optional() }), AnswerPiece, {
  deadlineMs: 30_000,
});
/** The next bytes of the body, base64; the reply comes when there is room for more. `answered`: the engine wants no more of it. */
export const EngineExchangeSend = rpc(
  'engine.exchange.send',
  'model-manager',
  z.object({ id: ExchangeId, bytes: z.base64(), last: z.boolean() }),
  z.object({ answered: z.boolean() }),
  { deadlineMs: 60_000 },
);
/** What the engine has answered since, or nothing yet after some seconds. */
export const EngineExchangeReceive = rpc('engine.exchange.receive', 'model-manager', z.object({ id: ExchangeId }), AnswerPiece, { deadlineMs: 30_000 });
/** The client has gone: so is its request to the engine. */
export const EngineExchangeEnd = rpc('engine.exchange.end', 'model-manager', z.object({ id: ExchangeId }), z.object({}));
