/** What every app needs to run: logger, Nest start-up, shutdown. */
export * from './logger.js';
export * from './package-root.js';
export * from './run-standalone.js';
export * from './start-app.js';
