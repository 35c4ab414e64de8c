/** How parts of an answer grow; producer, gateway and clients append in this one way. */
import type { Part } from '#contracts';

/** Appends `part` in place: text continues text of its kind, anything else starts a new part. */
export function appendPart(parts: Part[], part: Part): void {
  const last = parts.at(-1);
  if (last && part.kind !== 'tool' && last.kind === part.kind) last.text += part.text;
  else parts.push({ ...part });
}

export function appendParts(parts: Part[], more: readonly Part[]): void {
  for (const part of more) appendPart(parts, part);
}

/** The answer alone: the text parts, without thinking and tool calls. */
export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : '')).join('');
}
