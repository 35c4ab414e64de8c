/** What models need of a machine, and which do well-known ones fit. */
export * from './architecture.js';
export * from './catalogue.js';
export * from './fit.js';
export * from './memory.js';
export * from './quantization.js';
export * from './recommend.js';
export * from './speed.js';
