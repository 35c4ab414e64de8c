/** The hardware of this machine: what is there, what containers can reach of it, what it is good for. */
export * from './hardware-reader.js';
export * from './plan/plan.js';
export { socketsOf } from './probes/docker.js';
