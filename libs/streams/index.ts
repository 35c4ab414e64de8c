/** Streams as pure state: the frame log, positions, parts and the coalescing law. */
export * from './frames-of.js';
export * from './pacer.js';
export * from './parts.js';
export * from './position.js';
export * from './stream-log.js';
