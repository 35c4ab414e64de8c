/** The one way to whatever answers: the node's own engine and servers elsewhere. routes.ts knows which is asked, each provider how. */
import type { EngineGeneration, InferenceEmbed, MeshError, ProviderFeature, ProviderStatus, StreamStatus } from '#contracts';
import type { InferenceLine } from '#ollama';
import type { z } from 'zod';

/** Lines as an engine of the mesh writes them, as many at a time as arrived together. Leaving the loop drops the request. */
export type Lines = AsyncGenerator<InferenceLine[]>;

export type ProviderInfo = Pick<ProviderStatus, 'name' | 'type' | 'defaultModel'>;
export type Health = Pick<ProviderStatus, 'healthy' | 'reason'>;

export type EmbedRequest = Omit<z.output<typeof InferenceEmbed.request>, 'model' | 'target' | 'client'>;
export type Vectors = Omit<z.output<typeof InferenceEmbed.reply>, 'route'>;

/** On whose behalf, and until when. */
export interface Asking {
  readonly signal: AbortSignal;
  /** Whose turn it takes, where requests wait for theirs. */
  readonly client: string;
}

/** What a stream can do for whoever answers it. */
export interface Answering extends Asking {
  /** Tells its viewers what the answer waits for. */
  readonly announce: (status: StreamStatus) => void;
  /** Gives what failed before its first word to another node. @returns whether one has it: then nothing more comes from here */
  readonly handOver: (model: string, error: MeshError) => Promise<boolean>;
}

/** A `model` that is undefined is the provider's default. What is tried again inside a provider is tried before the first word only. */
export interface Provider {
  readonly info: ProviderInfo;
  /** Whether a request that needs `feature` is worth asking. */
  supports(feature: ProviderFeature): boolean;
  /** Never rejects. */
  health(signal: AbortSignal): Promise<Health>;
  /** The names of the models that it has. @throws MeshError */
  models(signal: AbortSignal): Promise<string[]>;
  /** The answer to `messages`. @throws MeshError */
  chat(model: string | undefined, generation: EngineGeneration, answering: Answering): Lines;
  /** The answer to `prompt`. @throws MeshError */
  generate(model: string | undefined, generation: EngineGeneration, answering: Answering): Lines;
  /** A vector for each text. @throws MeshError */
  embed(model: string | undefined, request: EmbedRequest, asking: Asking): Promise<Vectors>;
}

/** What a generation needs beyond text. */
export function featuresOf({ messages = [], images = [], tools = [], format, logprobs, think, raw, suffix, template, context = [] }: EngineGeneration): ProviderFeature[] {
  const needed: Readonly<Record<Exclude<ProviderFeature, 'embeddings'>, boolean>> = {
    tools: tools.length > 0 || messages.some(({ role, toolCalls = [] }) => role === 'tool' || toolCalls.length > 0),
    images: images.length > 0 || messages.some((message) => (message.images ?? []).length > 0),
    format: format !== undefined && format !== '',
    logprobs: logprobs === true,
    thinking: think !== undefined && think !== false,
    raw: raw === true || (suffix ?? '') !== '' || (template ?? '') !== '' || context.length > 0,
  };
  return Object.entries(needed).flatMap(([feature, isNeeded]) => (isNeeded ? [feature as ProviderFeature] : []));
}
