/** One request over Socket.IO: validated, run and acknowledged. */
import type { z } from 'zod';
import { type Ack, type ClientToServerEvents, type ErrorBody, MeshError, parseOrThrow } from '#contracts';
import type { MeshSocket } from './socketio-viewer.js';

/** Validates a request, runs it and acknowledges the outcome; a client that asks for no acknowledgement gets none. */
export function answer<Schema extends z.ZodType, Result extends object>(
  socket: MeshSocket,
  event: keyof ClientToServerEvents,
  schema: Schema,
  run: (request: z.output<Schema>) => Promise<Result>,
): void {
  const listener = async (...sent: unknown[]) => {
    const ack = sent.at(-1); // Wherever the client put the request, or whether it sent one at all.
    const [request] = typeof ack === 'function' ? sent.slice(0, -1) : sent;
    const reply = (outcome: Ack<Result> | { ok: false; error: ErrorBody }) => {
      if (typeof ack === 'function') (ack as (outcome: unknown) => void)(outcome);
    };
    try {
      reply({ ok: true, ...(await run(parseOrThrow(schema, request))) });
    } catch (thrown) {
      reply({ ok: false, error: MeshError.from(thrown).toJSON() });
    }
  };
  // What arrives is unknown, whatever the event map promises; the schema above decides.
  socket.on(event, listener as never);
}
