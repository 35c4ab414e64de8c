/** What a viewer has on screen: the documented rules of docs/PROTOCOL.md applied to events, independent of libs/streams. */
export interface StreamEvent {
  readonly event: string;
  readonly data: Record<string, unknown>;
  /** The `id` of an SSE event. */
  readonly id?: string | undefined;
}

/** A snapshot replaces everything, a delta is appended. */
export function textOf(events: readonly StreamEvent[]): string {
  let text = '';
  for (const { event, data } of events) {
    const parts = (data['parts'] ?? []) as { kind: string; text: string }[];
    const said = parts.filter(({ kind }) => kind === 'text').map((part) => part.text).join('');
    if (event === 'snapshot') text = said;
    if (event === 'delta') text += said;
  }
  return text;
}

export const isTerminal = ({ event }: Pick<StreamEvent, 'event'>): boolean => event === 'done' || event === 'failed';

export function positionOf(events: readonly StreamEvent[]): string | undefined {
  const position = events.at(-1)?.data['position'];
  return typeof position === 'string' ? position : undefined;
}
