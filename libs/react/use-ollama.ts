/** useOllama: ask, show, stop; with the models there are and how the gateway is. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { type Answer, type Client, type GenerateOptions, type GenerationRequest, type Health, MeshError, type Model, createClient } from '../client/index.js';
import { type StreamView, useStream } from './use-stream.js';

export interface OllamaOptions {
  /** Where the gateway is: an address, or a path of the page's own site. */
  readonly url?: string;
  readonly apiKey?: string;
  /** In place of both. */
  readonly client?: Client;
}

export interface UseOllama extends StreamView {
  readonly client: Client;
  /** The one that is shown. */
  readonly answer: Answer | undefined;
  /** Starts an answer, which is shown from now on; one that still runs is cancelled. */
  readonly stream: (request: string | GenerationRequest, options?: Pick<GenerateOptions, 'cache'>) => Promise<Answer>;
  /** The same, to its end. @returns the whole text */
  readonly generate: (request: string | GenerationRequest, options?: Pick<GenerateOptions, 'cache'>) => Promise<string>;
  /** Cancels the answer that runs. What has come of it stays on screen. */
  readonly stop: () => void;
  /** True from the question to the answer's end. */
  readonly loading: boolean;
  /** Undefined until they are known. */
  readonly models: readonly Model[] | undefined;
  readonly health: Health | undefined;
  /** Asks for models and health again. */
  readonly refresh: () => void;
  readonly clearCache: () => Promise<void>;
}

export function useOllama({ url = '/ollamesh', apiKey, client: given }: OllamaOptions = {}): UseOllama {
  const client = useMemo(() => given ?? createClient({ url, ...(apiKey !== undefined && { apiKey }) }), [given, url, apiKey]);
  const running = useRef<AbortController | undefined>(undefined);
  const [answer, setAnswer] = useState<Answer>();
  const [asking, setAsking] = useState(false);
  const [refusal, setRefusal] = useState<MeshError>();
  const [mesh, setMesh] = useState<{ models?: Model[]; health?: Health; error?: MeshError }>({});
  const [turn, setTurn] = useState(0);

  useEffect(() => () => running.current?.abort(), [client]);
  useEffect(() => {
    const looking = new AbortController();
    const { signal } = looking;
    Promise.all([client.models.list({ signal }), client.health({ signal })]).then(
      ([models, health]) => !signal.aborted && setMesh({ models, health }),
      (thrown: unknown) => !signal.aborted && setMesh({ error: MeshError.from(thrown) }),
    );
    return () => looking.abort();
  }, [client, turn]);

  const stream = useCallback<UseOllama['stream']>(
    async (request, options) => {
      running.current?.abort();
      const mine = (running.current = new AbortController());
      setAsking(true);
      setRefusal(undefined);
      try {
        const begun = await client.generate(request, { ...options, signal: mine.signal });
        if (!mine.signal.aborted) setAnswer(begun);
        return begun;
      } catch (thrown) {
        if (!mine.signal.aborted) setRefusal(MeshError.from(thrown));
        throw thrown;
      } finally {
        if (!mine.signal.aborted) setAsking(false);
      }
    },
    [client],
  );
  const generate = useCallback<UseOllama['generate']>(async (request, options) => (await stream(request, options)).text(), [stream]);
  const stop = useCallback(() => {
    running.current?.abort();
    setAsking(false);
  }, []);
  const refresh = useCallback(() => setTurn((before) => before + 1), []);
  const clearCache = useCallback(() => client.clearCache(), [client]);

  const view = useStream(client, answer);
  return {
    ...view,
    client,
    answer,
    stream,
    generate,
    stop,
    loading: asking || view.state === 'waiting' || view.state === 'streaming' || view.state === 'reconnecting',
    error: refusal ?? (view.state === 'failed' ? view.error : undefined) ?? mesh.error,
    models: mesh.models,
    health: mesh.health,
    refresh,
    clearCache,
  };
}
