/** `ollamesh node`: joins this machine to a mesh whose NATS server and gateways are elsewhere, until Ctrl-C. */
import { Command, Option } from 'commander';
import { type Flag, environment, loadConfig } from '#config';
import { EngineChanged, HardwareChanged, MeshError } from '#contracts';
import { endOnSignals } from '../shutdown.js';

interface NodeOptions {
  readonly nats?: string;
  readonly user?: string;
  readonly creds?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly node?: string;
  readonly engine?: string;
  readonly engineUrl?: string;
  readonly config?: string;
  readonly logLevel?: string;
  readonly json?: boolean;
}

export function nodeCommand(): Command {
  return new Command('node')
    .description('join this machine to a mesh: its engine answers what gateways elsewhere are asked')
    .option('--nats <url>', 'NATS server of the mesh, such as tls://nats.example.org:4222 (default: NATS_URL, or bus.url of the config file)')
    .option('--creds <file>', "a user's credentials file, as nsc writes it")
    .option('--user <name>', 'user name; its password is read from OLLAMESH_BUS_PASSWORD')
    .option('--ca <file>', 'certificate of who vouches for the server (PEM)')
    .option('--cert <file>', 'certificate that shows who we are (PEM)')
    .option('--key <file>', 'key of that certificate (PEM)')
    .option('--node <name>', "this machine's name in the mesh (default: its host name)")
    .addOption(new Option('--engine <driver>', 'which engine to use').choices(['auto', 'docker', 'external', 'embedded']))
    .option('--engine-url <url>', 'an Ollama that runs already')
    .option('-c, --config <file>', 'config file (default: ollamesh.config.* in this folder)')
    .addOption(new Option('--log-level <level>', 'how much is logged on standard error').choices(['fatal', 'error', 'warn', 'info', 'debug', 'trace']))
    .option('--json', 'one JSON object a line instead of text')
    .action(node);
}

async function node(options: NodeOptions): Promise<void> {
  const flags: Flag[] = [
    { name: '--nats', path: 'bus.url', value: options.nats },
    { name: '--user', path: 'bus.user', value: options.user },
    { name: '--creds', path: 'bus.credentialsFile', value: options.creds },
    { name: '--ca', path: 'bus.tls.caFile', value: options.ca },
    { name: '--cert', path: 'bus.tls.certFile', value: options.cert },
    { name: '--key', path: 'bus.tls.keyFile', value: options.key },
    { name: '--node', path: 'node', value: options.node },
    { name: '--engine', path: 'engine.driver', value: options.engine },
    { name: '--engine-url', path: 'engine.url', value: options.engineUrl },
    { name: '--log-level', path: 'log.level', value: options.logLevel },
  ];
  const { config } = await loadConfig({ cwd: process.cwd(), env: environment(), flags, ...(options.config !== undefined && { file: options.config }) });
  if (config.bus.url === undefined) throw new MeshError('invalid_request', 'Which mesh? Say where its NATS server is: --nats tls://host:4222, or NATS_URL.');
  const json = options.json === true;
  const say = (what: string, text: string) => void process.stdout.write(json ? `${JSON.stringify({ what, node: config.node, text })}\n` : `  ${what.padEnd(9)} ${text}\n`);
  const [{ connectBus }, { Logger }, { startNode }] = await Promise.all([import('#bus'), import('#runtime'), import('../mesh.js')]); // What other commands needn't wait for.
  let close = () => Promise.resolve();
  endOnSignals(() => close(), (text) => say('notice', text));
  const starting = startNode(config, {
    log: (app) => new Logger({ app, level: config.log.level, format: json ? 'json' : 'line' }),
    bus: async ({ url, access }) => {
      const listener = await connectBus({ url, ...access, app: 'cli', node: config.node, root: config.bus.root, log: new Logger({ app: 'cli', level: config.log.level, format: 'line' }) });
      close = async () => {
        // A node that only starts may be making a container already.
        const running = await starting.catch(() => undefined);
        await running?.close();
        await listener.close();
      };
      listener.subscribe(EngineChanged, ({ driver, state, reason }) => say('engine', `${driver === undefined ? '' : `${driver} is `}${state}: ${reason}`), { node: config.node });
      listener.subscribe(HardwareChanged, ({ cpu, gpus }) => say('hardware', [cpu.brand, ...gpus.map(({ name }) => name)].join(', ')), { node: config.node });
      await listener.flush();
      say('joined', `the mesh at ${url} as "${config.node}"`);
    },
  });
  await starting;
}
