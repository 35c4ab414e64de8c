/** `ollamesh up`: starts a mesh in the foreground until Ctrl-C, or with -d in the background until `ollamesh down`. */
import { Command, Option } from 'commander';
import { MeshError } from '#contracts';
import { type Told, logFileIn } from '../background.js';
import { holdMesh, loadMine, reach } from '../find-mesh.js';
import type { launchMesh as LaunchMesh } from '../launch.js';
import { boundLog } from '../log-bound.js';
import { type SharedOptions, withMeshOptions } from '../settings.js';
import { endOnSignals } from '../shutdown.js';
import { startUpView } from '../view/choose-view.js';
import type { View } from '../view/start-up-view.js';

export function upCommand(): Command {
  return withMeshOptions(new Command('up').description('start a mesh: bus, engine, models and gateway; in the foreground, or with -d in the background'))
    .option('-d, --detach', 'in the background, until ollamesh down')
    .option('--json', 'one JSON object a line instead of text')
    .addOption(new Option('--background', 'as a command starts it').hideHelp())
    .action((options: UpOptions) => (options.background === true ? upForOthers(options) : options.detach === true ? upDetached(options) : up(options)));
}

type UpOptions = SharedOptions & { json?: boolean; detach?: boolean; background?: boolean };

async function up(options: UpOptions): Promise<void> {
  const json = options.json === true;
  const loaded = await loadMine(options);
  const say = (text: string) => process.stderr.write(json ? `${JSON.stringify({ what: 'notice', text })}\n` : `  ${text}\n`);
  let close = () => Promise.resolve();
  endOnSignals(() => close(), say);
  if (!(await tellRunning(loaded.config.dataDir, json))) {
    const { launchMesh } = await import('../launch.js'); // Loads every app, which --help needn't wait for.
    const launching = launchMesh({ loaded, view: startUpView(process.stdout, json), logFormat: json ? 'json' : 'line', onEnd: (reason) => end(reason, say) });
    close = () => closeOnceLaunched(launching);
    if (await launching) return;
    if (!(await tellRunning(loaded.config.dataDir, json))) throw new MeshError('unavailable', 'Another command is starting your mesh. Try again in a moment.');
  }
}

/** A mesh that only starts may be making a container already, which nobody would remove. */
async function closeOnceLaunched(launching: ReturnType<typeof LaunchMesh>): Promise<void> {
  const mesh = await launching.catch(() => undefined); // Whoever launches is told.
  await mesh?.close();
}

/** As a signal would, which has its own limits in time. */
function end(reason: string, say: (text: string) => void): void {
  say(reason);
  process.kill(process.pid, 'SIGTERM');
}

/** @returns false where none runs */
async function tellRunning(dataDir: string, json: boolean): Promise<boolean> {
  const found = await reach(dataDir, 'look');
  if (!found) return false;
  found.lease.release();
  const { url } = found.run;
  process.stdout.write(json ? `${JSON.stringify({ what: 'running', url })}\n` : `  A mesh of yours runs already: ${url}/\n`);
  return true;
}

async function upDetached(options: UpOptions): Promise<void> {
  const json = options.json === true;
  const { config } = await loadMine(options);
  const url = await holdMesh(options, startUpView(process.stderr, json));
  process.stdout.write(json ? `${JSON.stringify({ what: 'running', url })}\n` : `  A mesh runs in the background: ${url}/\n  Its log: ollamesh logs -f (${logFileIn(config.dataDir)}). Its end: ollamesh down\n`);
}

/** The background process itself: what a terminal would show goes to whoever started it, what is logged to its log file. */
async function upForOthers(options: UpOptions): Promise<void> {
  const tell = (told: Told) => void (process.connected && process.send?.(told, () => undefined)); // Whoever started it may be gone.
  const log = (text: string) => void process.stderr.write(`${new Date().toISOString()} ${text}\n`);
  let close = () => Promise.resolve();
  endOnSignals(() => close(), log, 'Stopping.');
  try {
    const { launchMesh } = await import('../launch.js');
    const loaded = await loadMine({ ...options, isolated: false }); // Its data folder is given by variable.
    const { background, dataDir } = loaded.config;
    const view: View = { tell: (fact) => tell({ tell: 'fact', fact }) };
    const launching = launchMesh({ loaded, view, logFormat: 'line', ...(options.detach !== true && { graceMs: background.graceMs }), onEnd: (reason) => end(reason, log) });
    close = () => closeOnceLaunched(launching);
    const mesh = await launching;
    if (!mesh) {
      tell({ tell: 'taken' });
      process.disconnect?.();
      return;
    }
    log(`The mesh runs at ${mesh.url}.`);
    await boundLog(logFileIn(dataDir), background.logBytes);
    tell({ tell: 'listening' });
    mesh.ready.catch(() => undefined).finally(() => process.connected && process.disconnect?.());
  } catch (thrown) {
    tell({ tell: 'failed', error: MeshError.from(thrown).toJSON() });
    throw thrown;
  }
}
