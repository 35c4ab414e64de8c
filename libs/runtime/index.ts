/** What every app needs to run: logger, Nest start-up, shutdown. */
export * from './logger.js';
export * from './start-app.js';
