/** How Ollama's server reads requests and words its refusals: for those who answer in its place, the built-in engine and the gateway's door. */
export * from './api-error.js';
export * from './fields.js';
export * from './go-json.js';
