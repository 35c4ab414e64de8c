/** Runs one app as a process of its own: configuration, bus, start, and a clean end on SIGTERM or SIGINT. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Bus, type Tracer, connectBus } from '#bus';
import { type LoadedConfig, environment, loadConfig } from '#config';
import { type AppName, MeshError } from '#contracts';
import { AppMetrics } from './app-metrics.js';
import { Logger } from './logger.js';
import { serveMetrics } from './metrics-server.js';
import { packageVersion } from './package-root.js';
import { type RunningApp, type Runtime, configFileOf } from './start-app.js';
import { openTracer } from './tracing.js';

/** How long the bus may be away at the start: services of a compose file come up in any order. */
const BUS_PATIENCE_MS = 60_000;
const SHUTDOWN_LIMIT_MS = 8_000;

/** Starts `app` with `start` and returns when it runs; the process ends with it. */
export async function runStandalone(app: AppName, start: (runtime: Runtime) => Promise<RunningApp>): Promise<void> {
  const boot = new Logger({ app, level: 'info', format: 'json' });
  try {
    const loaded = await loadConfig({ cwd: process.cwd(), env: environment() });
    const { config, notices } = loaded;
    const logger = new Logger({ app, level: config.log.level, format: 'json' });
    for (const notice of notices) logger.warn(notice);
    const tracer = await openTracer({ app, node: config.node, version: packageVersion(), env: environment(), log: logger });
    const bus = await patientConnect(app, config, { logger, tracer });
    const running = await start({ bus, config, configFile: configFileOf(loaded), logger });
    const { host, port } = config.metrics;
    // The gateway has its own at its own port.
    const metrics = port === undefined || running.url !== undefined ? undefined : await serveMetrics(running.context.get(AppMetrics), bus, { host, port });
    boot.info(`${app} runs`, {
      node: config.node,
      ...(running.url !== undefined && { url: running.url }),
      ...(running.keeps !== undefined && { keeps: running.keeps }),
      ...(metrics && { metrics: `${metrics.url}/metrics` }),
    });
    endOnSignal([() => running.close(), () => bus.close(), () => metrics?.close(), () => tracer?.close()], logger);
  } catch (thrown) {
    boot.fatal(MeshError.from(thrown).message);
    process.exitCode = 1;
  }
}

async function patientConnect(app: AppName, config: LoadedConfig, { logger, tracer }: { logger: Logger; tracer: Tracer | undefined }): Promise<Bus> {
  const { url, root, server: _ours, tls, ...access } = config.bus;
  if (url === undefined) {
    throw new MeshError('invalid_request', `The ${app} needs a bus when it runs on its own: set NATS_URL (or bus.url) to a NATS server.`);
  }
  const until = performance.now() + BUS_PATIENCE_MS;
  for (;;) {
    try {
      return await connectBus({ url, ...access, ...(url.includes('tls://') && { tls }), app, node: config.node, root, log: logger, tracer });
    } catch (thrown) {
      if (performance.now() > until) throw thrown;
      logger.warn(`${MeshError.from(thrown).message} Trying again.`);
      await sleep(1_000);
    }
  }
}

function endOnSignal(closing: readonly (() => Promise<void> | undefined)[], logger: Logger): void {
  let ending = false;
  const end = async () => {
    if (ending) process.exit(1); // Asked twice: at once.
    ending = true;
    setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS).unref();
    try {
      for (const close of closing) await close();
    } catch (thrown) {
      logger.error(thrown);
      process.exitCode = 1;
    }
    process.exit();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end());
}
