/** A conversation as this browser keeps it, so that a reload shows it again; an answer that was running is watched on by its id. */
import { recall, remember } from './memory.js';
import { isStreamId } from './share.js';
import type { ShownAnswer } from './shown-answer.js';

const STORED = 'ollamesh.conversation';
const SYSTEM = 'ollamesh.system';
/** Browsers give a site about five million characters. */
const MOST_CHARACTERS = 2_000_000;

export interface KeptTurn {
  readonly question: string;
  readonly streamId?: string | undefined;
  readonly ownerToken?: string | undefined;
  /** One that has ended. */
  readonly answer?: ShownAnswer | undefined;
}

/** The oldest turns are left out where they are too many to keep. */
export function keepTurns(turns: readonly KeptTurn[]): void {
  for (let from = 0; from < turns.length; from++) {
    const text = JSON.stringify(turns.slice(from));
    if (text.length <= MOST_CHARACTERS && remember(STORED, text)) return;
  }
  remember(STORED, undefined);
}

export function keptTurns(): readonly KeptTurn[] {
  try {
    const turns: unknown = JSON.parse(recall(STORED) ?? '[]');
    return Array.isArray(turns) ? turns.filter(isTurn) : [];
  } catch {
    return []; // Not ours, or of another version.
  }
}

export const keptSystem = (): string => recall(SYSTEM) ?? '';
export const keepSystem = (prompt: string): boolean => remember(SYSTEM, prompt || undefined);

function isTurn(value: unknown): value is KeptTurn {
  const turn = value as KeptTurn | null;
  const { streamId, answer } = turn ?? {};
  return typeof turn?.question === 'string' && (streamId === undefined || isStreamId(streamId)) && (answer === undefined || Array.isArray(answer.parts));
}
