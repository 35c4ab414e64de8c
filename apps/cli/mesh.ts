/** Composes the apps in one process, each with its own connection to the bus: the one place that may import apps. */
import { type Bus, type Tracer, connectBus } from '#bus';
import { type LoadedConfig, environment } from '#config';
import type { AppName } from '#contracts';
import { type ConfigFile, Logger, type RunningApp, type Runtime, once, openTracer, packageVersion, startMicroservice } from '#runtime';
import { type BusServer, provideBus } from './bus-server.js';
import { GpuAgentModule } from '../gpu-agent/app.module.js';
import { startGateway } from '../gateway/start.js';
import { ModelManagerModule } from '../model-manager/app.module.js';
import { OrchestratorModule } from '../orchestrator/app.module.js';

export interface Mesh {
  /** The gateway's address. */
  readonly url: string;
  readonly port: number;
  /** Where the gateway keeps sessions and finished streams. */
  readonly keeps: string;
  /** Stops gateway, model-manager, orchestrator (with its engine), gpu-agent and bus, in that order. Idempotent. */
  close(): Promise<void>;
}

/** Told of each step, before the gateway runs. */
export interface MeshObserver {
  /** The bus is there; whoever wants to follow the start may listen on it from now on. */
  bus(server: BusServer): Promise<void> | void;
  log(app: AppName): Logger;
}

/** A machine that serves models to a mesh whose gateways are elsewhere. */
export interface MeshNode {
  /** Stops model-manager, orchestrator (with its engine), gpu-agent and bus connections, in that order. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts what belongs beside a GPU: everything but the gateway.
 * @throws MeshError of whatever can't start; what had started is stopped then.
 */
export async function startNode(config: LoadedConfig, observer: MeshObserver): Promise<MeshNode> {
  const { close } = await startApps(config, observer, undefined, async () => undefined);
  return { close };
}

/**
 * Starts everything. @param configFile where `config` came from, to be watched
 * @throws MeshError of whatever can't start; what had started is stopped then.
 */
export async function startMesh(config: LoadedConfig, observer: MeshObserver, configFile?: ConfigFile): Promise<Mesh> {
  const { last: gateway, close } = await startApps(config, observer, configFile, (start) => start('gateway', (runtime) => startGateway(runtime, packageVersion())));
  return { url: gateway.url, port: gateway.port, keeps: gateway.keeps, close };
}

type Start = <App extends RunningApp>(app: AppName, launch: (runtime: Runtime) => Promise<App>) => Promise<App>;

/** Starts the apps of a node, and then what `finish` starts. */
async function startApps<Last>(config: LoadedConfig, observer: MeshObserver, configFile: ConfigFile | undefined, finish: (start: Start) => Promise<Last>): Promise<{ last: Last; close: () => Promise<void> }> {
  const server = await provideBus(config);
  const closing: (() => Promise<void>)[] = [() => server.close()];
  const close = once(async () => {
    for (const end of closing.reverse()) await end();
  });
  try {
    await observer.bus(server);
    const start: Start = async (app, launch) => {
      const logger = observer.log(app);
      const tracer = await openTracer({ app, node: config.node, version: packageVersion(), env: environment(), log: logger });
      if (tracer) closing.push(() => tracer.close());
      const bus = await connect(server, app, config, { logger, tracer });
      closing.push(() => bus.close());
      const running = await launch({ bus, config, configFile, logger });
      closing.push(() => running.close());
      return running;
    };
    await start('gpu-agent', (runtime) => startMicroservice(GpuAgentModule, runtime));
    await start('orchestrator', (runtime) => startMicroservice(OrchestratorModule, runtime));
    await start('model-manager', (runtime) => startMicroservice(ModelManagerModule, runtime));
    return { last: await finish(start), close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function connect({ url, access, broker }: BusServer, app: AppName, { node, bus }: LoadedConfig, { logger, tracer }: { logger: Logger; tracer: Tracer | undefined }): Promise<Bus> {
  return connectBus({ url, ...access, broker, app, node, root: bus.root, log: logger, tracer });
}
