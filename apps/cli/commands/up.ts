/** `ollamesh up`: starts a mesh in the foreground until Ctrl-C. */
import { Command } from 'commander';
import { findRunningMesh } from '../find-mesh.js';
import { type SharedOptions, loadSettings, withMeshOptions } from '../settings.js';
import { endOnSignals } from '../shutdown.js';
import { startUpView } from '../view/choose-view.js';

export function upCommand(): Command {
  return withMeshOptions(new Command('up').description('start a mesh in the foreground: bus, engine, models and gateway'))
    .option('--json', 'one JSON object a line instead of text')
    .action(up);
}

async function up(options: SharedOptions & { json?: boolean }): Promise<void> {
  const loaded = await loadSettings(options);
  const running = await findRunningMesh(options);
  if (running) {
    process.stdout.write(options.json ? `${JSON.stringify({ what: 'running', url: running.url })}\n` : `  A mesh of yours runs already: ${running.url}/\n`);
    return;
  }
  const json = options.json === true;
  const say = (text: string) => process.stderr.write(json ? `${JSON.stringify({ what: 'notice', text })}\n` : `  ${text}\n`);
  let close = () => Promise.resolve();
  endOnSignals(() => close(), say);
  const { launchMesh } = await import('../launch.js'); // Loads every app, which --help needn't wait for.
  const mesh = await launchMesh({ loaded, view: startUpView(process.stdout, json), logFormat: json ? 'json' : 'line' });
  close = () => mesh.close();
}
