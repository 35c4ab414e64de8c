/** API keys: how they are made and recognised, and the file in which `ollamesh keys` keeps them for the gateway. */
export * from './key.js';
export * from './key-file.js';
