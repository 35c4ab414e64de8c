/** What a viewer knows of a stream, and how each event changes it (docs/PROTOCOL.md): pure functions, no page and no network. */
import type { Delta, Done, ErrorBody, Failed, Part, Snapshot, StreamStatus } from '#contracts';

export type StreamEnding = { kind: 'done'; finishReason: string; counters: Done['counters'] } | { kind: 'failed'; error: ErrorBody };

export interface StreamState {
  readonly id: string | undefined;
  readonly model?: string | undefined;
  readonly position?: string | undefined;
  readonly parts: readonly Part[];
  readonly status?: StreamStatus | undefined;
  readonly ending?: StreamEnding | undefined;
}

export function newStream(id?: string, model?: string): StreamState {
  return { id, model, parts: [] };
}

/** Replaces everything the viewer has. */
export function withSnapshot(state: StreamState, { model, position, parts, status }: Pick<Snapshot, 'model' | 'position' | 'parts' | 'status'>): StreamState {
  return { ...state, model, position, parts, status };
}

export function withDelta(state: StreamState, { position, parts, status }: Pick<Delta, 'position' | 'parts' | 'status'>): StreamState {
  return { ...state, position, parts: parts.reduce(append, state.parts), status };
}

export function withDone(state: StreamState, { position, finishReason, counters }: Pick<Done, 'position' | 'finishReason' | 'counters'>): StreamState {
  return { ...state, position, status: undefined, ending: { kind: 'done', finishReason, counters } };
}

export function withFailure(state: StreamState, { position = state.position, error }: { position?: string | undefined; error: Failed['error'] }): StreamState {
  return { ...state, position, status: undefined, ending: { kind: 'failed', error } };
}

/** The text a model wrote for its reader, without thinking and tools. */
export function textOf({ parts }: Pick<StreamState, 'parts'>): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : '')).join('');
}

/** A part of the same kind continues the last one; a tool part never does. */
function append(parts: readonly Part[], part: Part): readonly Part[] {
  const last = parts.at(-1);
  if (part.kind === 'tool' || last?.kind !== part.kind) return [...parts, part];
  return [...parts.slice(0, -1), { kind: part.kind, text: last.text + part.text }];
}
