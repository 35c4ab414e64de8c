/** Configuration: its schema, and where it is read from. */
export * from './schema.js';
