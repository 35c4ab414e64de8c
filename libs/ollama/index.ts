/** Client of Ollama's HTTP API. */
export * from './client.js';
export type { InferenceLine, PullLine, Tag } from './schemas.js';
