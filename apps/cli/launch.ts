/** Starts a mesh in this process for a command, tells a view how it goes, and says when it is ready. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, connectBus } from '#bus';
import { createClient } from '#client';
import type { ConfigLoaded } from '#config';
import { type AppName, type Engine, EngineChanged, HardwareChanged, MeshError } from '#contracts';
import { Logger, configFileOf, once, packageVersion } from '#runtime';
import type { BusServer } from './bus-server.js';
import { startMesh } from './mesh.js';
import { ControlServer } from './control/control-server.js';
import { claimRun, removeRunFile, writeRunFile } from './run-file.js';
import type { View } from './view/start-up-view.js';

export interface LaunchedMesh {
  readonly url: string;
  /** What this user shows to be its operator. */
  readonly operatorToken: string;
  /** Settles when the engine answers and has its models; rejects when it failed for good. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

export interface LaunchOptions {
  readonly loaded: ConfigLoaded;
  readonly view: View;
  readonly logFormat: 'line' | 'json';
  /** How long it runs on after the last command that leases it, in milliseconds; without it, until it is stopped. */
  readonly graceMs?: number;
  /** Called when a command asks for its end, or nobody needs it any more. */
  onEnd(reason: string): void;
}

/** How long being ready may wait for the hardware to be told first: the addresses are the last thing a person reads. */
const HARDWARE_PATIENCE_MS = 2_000;

/**
 * Starts the mesh of a data folder. @returns undefined where another process is that mesh already, or becomes it
 * @throws MeshError of whatever can't start; nothing is left running then.
 */
export async function launchMesh(options: LaunchOptions): Promise<LaunchedMesh | undefined> {
  const { dataDir } = options.loaded.config;
  if (!(await claimRun(dataDir))) return undefined;
  try {
    return await launchClaimed(options);
  } catch (thrown) {
    await removeRunFile(dataDir);
    throw thrown;
  }
}

async function launchClaimed({ loaded: source, view, logFormat, graceMs, onEnd }: LaunchOptions): Promise<LaunchedMesh> {
  const { config: loaded, file, notices } = source;
  const { operatorToken = randomBytes(24).toString('base64url') } = loaded.gateway;
  const config = { ...loaded, gateway: { ...loaded.gateway, operatorToken } };
  const log = (app: AppName) => new Logger({ app, level: config.log.level, format: logFormat });
  const readiness = new Readiness();
  let hardwareTold: () => void = () => undefined;
  const hardware = new Promise<void>((resolve) => (hardwareTold = resolve));
  let listener: Bus | undefined;
  let control: ControlServer | undefined;
  const listen = async ({ url, access, broker, reason }: BusServer) => {
    view.tell({ what: 'bus', url, reason });
    listener = await connectBus({ url, ...access, broker, app: 'cli', node: config.node, root: config.bus.root, log: log('cli') });
    listener.subscribe(
      HardwareChanged,
      (seen) => {
        view.tell({ what: 'hardware', hardware: seen });
        hardwareTold();
      },
      { node: config.node },
    );
    listener.subscribe(
      EngineChanged,
      (engine) => {
        view.tell({ what: 'engine', engine });
        readiness.hear(engine);
      },
      { node: config.node },
    );
    await listener.flush();
  };
  view.tell({ what: 'config', file, notices });
  try {
    const mesh = await startMesh(config, { log, bus: listen }, configFileOf(source));
    view.tell({ what: 'gateway', url: mesh.url, wantedPort: config.gateway.port, port: mesh.port, keeps: mesh.keeps });
    control = await ControlServer.open({ graceMs, onEnd });
    await writeRunFile(config.dataDir, {
      url: mesh.url,
      version: packageVersion(),
      startedAt: new Date().toISOString(),
      operatorToken,
      control: { port: control.port, secret: control.secret },
      ...(file !== undefined && { configFile: file }),
    });
    const ready = readiness.reached.then(async () => {
      await Promise.race([hardware, sleep(HARDWARE_PATIENCE_MS, undefined, { ref: false })]);
      const models = await createClient({ url: mesh.url, apiKey: operatorToken }).models.list();
      const model = config.models.default ?? config.models.required[0] ?? models[0]?.name;
      view.tell({ what: 'ready', url: mesh.url, models, model, afterMs: performance.now() });
    });
    ready.catch(() => undefined); // Whoever waits for it hears of a failure; nobody has to wait.
    const close = async () => {
      control?.close();
      await listener?.close();
      await mesh.close();
      await removeRunFile(config.dataDir); // Last: the next mesh of this folder begins where this one has ended.
    };
    return { url: mesh.url, operatorToken, ready, close: once(close) };
  } catch (thrown) {
    control?.close();
    await listener?.close();
    throw thrown;
  }
}

/** Turns the engine's states into one promise. */
class Readiness {
  #resolve: () => void = () => undefined;
  #reject: (error: MeshError) => void = () => undefined;
  readonly reached = new Promise<void>((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  constructor() {
    this.reached.catch(() => undefined); // It may fail before anybody waits for it, or without anybody ever doing so.
  }

  hear({ state, reason }: Engine): void {
    if (state === 'ready') this.#resolve();
    if (state === 'failed') this.#reject(new MeshError('engine_unavailable', reason));
  }
}
