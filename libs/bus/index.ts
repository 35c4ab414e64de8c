/** The bus: one NATS connection per app, typed by contracts, and Nest's transport over it. */
export * from './bus.js';
export * from './connect.js';
export type { Bucket, BucketOptions, Entry, Storage } from './storage/bucket.js';
export * from './trace.js';
export * from './transport.js';
export * from './nats-server.js';
