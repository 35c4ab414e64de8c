export * from './embedded-engine.js';
