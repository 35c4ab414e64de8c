/** Every message that crosses a boundary: subjects, schemas, types, error codes. */
export * from './benchmark.js';
export * from './define.js';
export * from './embedded-engine.js';
export * from './engine.js';
export * from './errors.js';
export * from './finished-stream.js';
export * from './hardware.js';
export * from './inference.js';
export * from './model-name.js';
export * from './models.js';
export * from './nodes.js';
export * from './presence.js';
export * from './session-record.js';
export * from './sessions.js';
export * from './socket-events.js';
export * from './streams.js';
export * from './viewer.js';
