/** ollamesh/react: hooks over ollamesh/client. */
export { type OllamaOptions, type UseOllama, useOllama } from './use-ollama.js';
export { type UsePull, usePull } from './use-pull.js';
export { type StreamView, useStream } from './use-stream.js';
