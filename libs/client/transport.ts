/** How the events of one stream or session come; over Server-Sent Events here, over Socket.IO in socket-transport.ts. */
import type { Delta, Done, Failed, SessionNews, Snapshot } from '#contracts';
import { OPENED, type Opened } from './connections.js';
import type { Http } from './http.js';

export type StreamEvent =
  | { readonly event: 'snapshot'; readonly data: Snapshot }
  | { readonly event: 'delta'; readonly data: Delta }
  | { readonly event: 'done'; readonly data: Done }
  | { readonly event: 'failed'; readonly data: Failed };

export const STREAM_EVENTS = ['snapshot', 'delta', 'done', 'failed'] as const satisfies StreamEvent['event'][];
export const SESSION_EVENTS = ['session', 'message', 'answer', 'presence', 'closed'] as const satisfies SessionNews['event'][];

export interface Transport {
  /**
   * One connection's events, as with `listen`. @throws MeshError `unavailable` when the connection is lost, and the gateway's own
   * @param after the position behind which they begin; undefined: from the beginning
   */
  watch(streamId: string, after: string | undefined, signal: AbortSignal): AsyncIterable<StreamEvent | Opened>;
  listen(sessionId: string, token: string, signal: AbortSignal): AsyncIterable<SessionNews | Opened>;
  /** Something will be watched soon: where that shares a connection, it is made meanwhile. @returns ends that */
  hold(): () => void;
  close(): void;
}

export function sseTransport(http: Http): Transport {
  return {
    watch(streamId, after, signal) {
      const from = after === undefined ? '' : `?last_event_id=${after}`; // As a header it would cost a page of another origin a request more.
      return known<StreamEvent>(http.events(`/streams/${encodeURIComponent(streamId)}${from}`, { signal }), STREAM_EVENTS);
    },
    listen: (sessionId, token, signal) => known<SessionNews>(http.events(`/sessions/${encodeURIComponent(sessionId)}/events`, { token, signal }), SESSION_EVENTS),
    hold: () => () => undefined,
    close: () => undefined,
  };
}

/** The events of these names, parsed; a later gateway may have others. */
export async function* known<Event>(messages: ReturnType<Http['events']>, names: readonly string[]): AsyncGenerator<Event | Opened> {
  for await (const message of messages) {
    if (message === OPENED) yield OPENED;
    else if (message.event !== undefined && names.includes(message.event)) yield { event: message.event, data: JSON.parse(message.data) } as Event;
  }
}
