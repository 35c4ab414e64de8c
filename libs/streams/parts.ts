/** How parts of an answer grow; producer, gateway and clients append in this one way. */
import type { Frame, Part } from '#contracts';

/** What a frame adds to the answer; undefined for one that says something about it, or nothing. */
export function partOf(frame: Frame): Part | undefined {
  switch (frame.kind) {
    case 'token':
      return frame.text === '' ? undefined : { kind: 'text', text: frame.text, ...(frame.logprobs && { logprobs: frame.logprobs }) };
    case 'thinking':
      return frame.text === '' ? undefined : { kind: 'thinking', text: frame.text };
    case 'tool':
      return { kind: 'tool', calls: frame.calls };
    default:
      return undefined;
  }
}

/** Appends `part` in place: text continues text of its kind, anything else, and text that has its scores beside it, starts a new part. */
export function appendPart(parts: Part[], part: Part): void {
  const last = parts.at(-1);
  if (last && part.kind !== 'tool' && last.kind === part.kind && !isScored(last) && !isScored(part)) last.text += part.text;
  else parts.push({ ...part });
}

function isScored(part: Part): boolean {
  return part.kind === 'text' && part.logprobs !== undefined;
}

export function appendParts(parts: Part[], more: readonly Part[]): void {
  for (const part of more) appendPart(parts, part);
}

/** The answer alone: the text parts, without thinking and tool calls. */
export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : '')).join('');
}
