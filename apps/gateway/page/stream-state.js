/**
 * What a viewer knows of a stream, and how each event changes it (docs/PROTOCOL.md): pure functions, no page and no network.
 *
 * @typedef {{kind: 'text' | 'thinking', text: string} | {kind: 'tool', calls: {name: string, arguments: object}[]}} Part
 * @typedef {{id: string, model?: string, position?: string, parts: Part[], status?: object, ending?: object}} StreamState
 */

/** @returns {StreamState} */
export function newStream(id, model) {
  return { id, model, position: undefined, parts: [], status: undefined, ending: undefined };
}

/** Replaces everything the viewer has. */
export function withSnapshot(state, { model, position, parts, status }) {
  return { ...state, model, position, parts, status };
}

export function withDelta(state, { position, parts, status }) {
  return { ...state, position, parts: parts.reduce(append, state.parts), status };
}

export function withDone(state, { position, finishReason, counters }) {
  return { ...state, position, status: undefined, ending: { kind: 'done', finishReason, counters } };
}

export function withFailure(state, { position = state.position, error }) {
  return { ...state, position, status: undefined, ending: { kind: 'failed', error } };
}

/** The text a model wrote for its reader, without thinking and tools. */
export function textOf({ parts }) {
  return parts.filter(({ kind }) => kind === 'text').map(({ text }) => text).join('');
}

/** A part of the same kind continues the last one; a tool part never does. */
function append(parts, part) {
  const last = parts.at(-1);
  if (last?.kind !== part.kind || part.kind === 'tool') return [...parts, part];
  return [...parts.slice(0, -1), { ...last, text: last.text + part.text }];
}
