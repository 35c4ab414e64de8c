/** Where in the mesh a request goes. */
export * from './choose-node.js';
export * from './placement.js';
