/** usePull: gets a model and shows how far it is. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { type Client, MeshError, type PullOptions, type PullProgress } from '../client/index.js';

export interface UsePull {
  /** Starts a pull, or joins the one under way. It goes on when the component goes. */
  readonly pull: (model: string, options?: Pick<PullOptions, 'policy' | 'node'>) => Promise<void>;
  /** Ends it for everybody; what has come stays. */
  readonly cancel: () => Promise<void>;
  readonly progress: PullProgress | undefined;
  readonly error: MeshError | undefined;
}

export function usePull(client: Client): UsePull {
  const looking = useRef<AbortController | undefined>(undefined);
  const ending = useRef<() => Promise<void>>(undefined);
  const [{ progress, error }, show] = useState<{ progress?: PullProgress; error?: MeshError }>({});
  useEffect(() => () => looking.current?.abort(), [client]);
  const pull = useCallback<UsePull['pull']>(
    async (model, options) => {
      looking.current?.abort();
      const { signal } = (looking.current = new AbortController());
      show({});
      const wish = client.models.pull(model, { ...options, signal });
      ending.current = () => wish.cancel();
      try {
        for await (const next of wish) if (!signal.aborted) show({ progress: next });
      } catch (thrown) {
        if (!signal.aborted) show((before) => ({ ...before, error: MeshError.from(thrown) }));
      }
    },
    [client],
  );
  const cancel = useCallback(async () => ending.current?.(), []);
  return { pull, cancel, progress, error };
}
