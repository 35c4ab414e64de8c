/** ollamesh/client: a typed client of the gateway for browsers and Node, without dependencies of its own. */
export { MeshError } from '#mesh-error';
export { type Answer, type AnswerEnd, type AnswerEvent, type AnswerState } from './answer.js';
export { type Client, type ClientOptions, type GenerateOptions, type GenerationRequest, type Health, type MeshEvent, type WatchOptions, createClient } from './client.js';
export { type Reconnecting, type Resumed } from './connections.js';
export { type CallOptions } from './http.js';
export { type LoadedModel, type Models, type Pull, type PullOptions, type RecommendedOptions } from './models.js';
export { type RetryOptions } from './retry.js';
export { type Session, type SessionChanges, type SessionEvent, type SessionSettings, type Sessions } from './sessions.js';
export { type Services } from './services.js';
export type {
  Benchmark,
  CacheStats,
  ChatMessage,
  Counters,
  Engine,
  ErrorBody,
  ErrorCode,
  Hardware,
  Model,
  ModelPriority,
  ModelTask,
  Part,
  PullProgress,
  Recommendations,
  Service,
  SessionMessage,
  SessionView,
  StreamStatus,
  StreamView,
} from '#contracts';
