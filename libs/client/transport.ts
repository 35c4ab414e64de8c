/** How the events of one stream come; over Server-Sent Events here, over Socket.IO in socket-transport.ts. */
import type { Delta, Done, Failed, Snapshot } from '#contracts';
import type { Http } from './http.js';

export type StreamEvent =
  | { readonly event: 'snapshot'; readonly data: Snapshot }
  | { readonly event: 'delta'; readonly data: Delta }
  | { readonly event: 'done'; readonly data: Done }
  | { readonly event: 'failed'; readonly data: Failed };

export const STREAM_EVENTS = ['snapshot', 'delta', 'done', 'failed'] as const;

export interface Transport {
  /**
   * One connection's events, from behind position `after`, or all.
   * @throws MeshError `unavailable` when the connection is lost, and the gateway's own
   */
  watch(streamId: string, after: string | undefined, signal: AbortSignal): AsyncIterable<StreamEvent>;
  close(): void;
}

export function sseTransport(http: Http): Transport {
  return {
    async *watch(streamId, after, signal) {
      const from = after === undefined ? '' : `?last_event_id=${after}`; // As a header it would cost a page of another origin a request more.
      for await (const { event, data } of http.events(`/streams/${encodeURIComponent(streamId)}${from}`, { signal })) {
        if (STREAM_EVENTS.some((known) => known === event)) yield { event, data: JSON.parse(data) } as StreamEvent;
      }
    },
    close: () => undefined,
  };
}
