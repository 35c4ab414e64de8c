/** Client of Ollama's HTTP API. */
export * from './client.js';
export type { InferenceLine, PullLine, RunningModel, Tag } from './schemas.js';
