/** Ollama as a program that is installed, and the client of its HTTP API. */
export * from './client.js';
export * from './installed.js';
export { letGo } from './let-go.js';
export type { InferenceLine, PullLine, RunningModel, Tag } from './schemas.js';
