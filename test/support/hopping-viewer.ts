/** A viewer that breaks off, is broken off, and goes on wherever it is let in, on either transport, with nothing but its position. */
import { type SseConnection, openSse } from './http-client.js';
import { type SocketClient, connectSocket } from './socket-client.js';
import { type StreamEvent, isTerminal, positionOf } from './stream-text.js';

export type TransportName = 'sse' | 'socket';

export interface Visit {
  /** Which gateway. */
  readonly url: string;
  readonly transport: TransportName;
  /** Breaks off after so many events, whatever came after them; Infinity: stays to the end. */
  readonly events: number;
}

export interface Followed {
  /** All that it was told, over all visits. */
  readonly events: StreamEvent[];
  /** Times it went on from a position, by the transport on which it had been cut. */
  readonly resumed: Record<TransportName, number>;
}

/** Visits that find nobody or bring nothing, in a row, before it gives up. */
const MAX_VAIN_VISITS = 200;
const PAUSE_MS = 50;

/**
 * Watches a stream to its end, visit by visit.
 * @throws when a gateway does not know the stream or the position, or says that there is nothing more before the end
 */
export async function follow(id: string, next: () => Visit): Promise<Followed> {
  const events: StreamEvent[] = [];
  const resumed = { sse: 0, socket: 0 };
  for (let vain = 0; !events.some(isTerminal); ) {
    const visit = next();
    const after = positionOf(events);
    const told = await (visit.transport === 'sse' ? visitSse : visitSocket)(visit, id, after);
    events.push(...told);
    if (told.length > 0) vain = 0;
    else if (++vain > MAX_VAIN_VISITS) throw new Error(`${MAX_VAIN_VISITS} visits to ${id} were in vain after ${after}.`);
    else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (!events.some(isTerminal) && told.length > 0) resumed[visit.transport]++;
  }
  return { events, resumed };
}

async function visitSse({ url, events }: Visit, id: string, after: string | undefined): Promise<StreamEvent[]> {
  let connection: SseConnection;
  try {
    connection = await openSse(`${url}/streams/${id}`, { headers: after === undefined ? {} : { 'last-event-id': after } });
  } catch {
    return []; // Nobody there.
  }
  if (connection.status !== 200) {
    await connection.ended;
    if (isRetryable(connection.text)) return [];
    throw new Error(`${url} answered ${connection.status} to ${id} after ${after}: ${connection.text}`);
  }
  await connection.seen((seen) => seen.length >= events || seen.some(isTerminal)).catch(() => undefined); // Cut by the gateway.
  connection.cut();
  return connection.events.slice(0, events);
}

async function visitSocket({ url, events }: Visit, id: string, after: string | undefined): Promise<StreamEvent[]> {
  let client: SocketClient;
  try {
    client = await connectSocket(url, { transports: ['websocket'] });
  } catch {
    return [];
  }
  const cut = new Promise<'cut'>((resolve) => client.socket.once('disconnect', () => resolve('cut')));
  const seen = client.seen(id, (sofar) => sofar.length >= events || sofar.some(isTerminal));
  try {
    const joined = client.ask('join', { streamId: id, ...(after !== undefined && { after }) });
    joined.catch(() => undefined); // Never acknowledged where the gateway dies.
    const reply = await Promise.race([joined, cut]);
    if (reply !== 'cut' && !reply.ok) {
      if (reply.error.retryable) return [];
      throw new Error(`${url} refused ${id} after ${after}: ${JSON.stringify(reply.error)}`);
    }
    if (reply !== 'cut') await Promise.race([seen, cut]);
    return client.eventsOf(id).slice(0, events);
  } finally {
    client.close();
  }
}

function isRetryable(body: string): boolean {
  return (JSON.parse(body || '{}') as { error?: { retryable: boolean } }).error?.retryable === true;
}
