/** Model registries: their protocol, manifests and digests, and how to be patient with them. */
export * from './client.js';
export * from './digest.js';
export * from './disk-space.js';
export * from './failure.js';
export * from './manifest.js';
export * from './retry.js';
