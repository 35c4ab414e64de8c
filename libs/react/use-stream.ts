/** useStream: one answer on screen, as it comes. */
import { useEffect, useState } from 'react';
import type { Answer, AnswerState, Client, MeshError, Part, StreamStatus } from '../client/index.js';

export interface StreamView {
  readonly text: string;
  readonly parts: readonly Part[];
  readonly state: AnswerState | 'none';
  /** What it waits for, before its first word. */
  readonly status?: StreamStatus | undefined;
  readonly error?: MeshError | undefined;
}

const NOTHING: StreamView = { text: '', parts: [], state: 'none' };

/**
 * @param stream a stream's id or a link to it, which is watched while the component is there; or an answer, which is only shown;
 * undefined: nothing
 */
export function useStream(client: Client, stream: string | Answer | undefined): StreamView {
  const [view, setView] = useState(NOTHING);
  useEffect(() => {
    if (stream === undefined) {
      setView(NOTHING);
      return undefined;
    }
    const answer = typeof stream === 'string' ? client.watch(stream) : stream;
    const show = () => setView({ text: answer.content, parts: answer.parts, state: answer.state, status: answer.status, error: answer.error });
    const part = answer.subscribe(show);
    show();
    return () => {
      part();
      if (typeof stream === 'string') answer.close();
    };
  }, [client, stream]);
  return view;
}
