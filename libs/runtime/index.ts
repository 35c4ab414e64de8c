/** What every app needs to run: logger, Nest start-up, metrics, traces, shutdown. */
export * from './app-metrics.js';
export * from './logger.js';
export * from './package-root.js';
export * from './run-standalone.js';
export * from './start-app.js';
export * from './tracing.js';
