/** Runs one app as a process of its own: configuration, bus, start, and a clean end on SIGTERM or SIGINT. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Bus, connectBus } from '#bus';
import { type LoadedConfig, environment, loadConfig } from '#config';
import { type AppName, MeshError } from '#contracts';
import { Logger } from './logger.js';
import { type RunningApp, type Runtime, configFileOf } from './start-app.js';

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
    const bus = await patientConnect(app, config, logger);
    const running = await start({ bus, config, configFile: configFileOf(loaded), logger });
    boot.info(`${app} runs`, { node: config.node, ...(running.url !== undefined && { url: running.url }), ...(running.keeps !== undefined && { keeps: running.keeps }) });
    endOnSignal(running, bus, logger);
  } catch (thrown) {
    boot.fatal(MeshError.from(thrown).message);
    process.exitCode = 1;
  }
}

async function patientConnect(app: AppName, config: LoadedConfig, logger: Logger): Promise<Bus> {
  const { url, root, server: _ours, tls, ...access } = config.bus;
  if (url === undefined) {
    throw new MeshError('invalid_request', `The ${app} needs a bus when it runs on its own: set NATS_URL (or bus.url) to a NATS server.`);
  }
  const until = performance.now() + BUS_PATIENCE_MS;
  for (;;) {
    try {
      return await connectBus({ url, ...access, ...(url.includes('tls://') && { tls }), app, node: config.node, root, log: logger });
    } catch (thrown) {
      if (performance.now() > until) throw thrown;
      logger.warn(`${MeshError.from(thrown).message} Trying again.`);
      await sleep(1_000);
    }
  }
}

function endOnSignal(running: RunningApp, bus: Bus, logger: Logger): void {
  let ending = false;
  const end = async () => {
    if (ending) process.exit(1); // Asked twice: at once.
    ending = true;
    setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS).unref();
    try {
      await running.close();
      await bus.close();
    } catch (thrown) {
      logger.error(thrown);
      process.exitCode = 1;
    }
    process.exit();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end());
}
