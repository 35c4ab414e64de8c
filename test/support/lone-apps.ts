/** The apps as processes of their own on one bus, as a compose file runs them. */
import { until } from './until.js';
import { type Program, ROOT, runNode } from './program.js';

export type LoneApp = 'gateway' | 'gpu-agent' | 'model-manager' | 'orchestrator';

export interface LoneOptions {
  readonly natsUrl: string;
  readonly dataDir: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts one and returns when it says that it runs. */
export async function startLone(app: LoneApp, { natsUrl, dataDir, env = {} }: LoneOptions): Promise<Program> {
  const program = runNode([`dist/apps/${app}/main.js`], {
    cwd: ROOT,
    env: { NATS_URL: natsUrl, OLLAMESH_DATA_DIR: dataDir, OLLAMESH_NODE: 'gpu1', OLLAMESH_ENGINE: 'embedded', OLLAMESH_GATEWAY_PORT: '0', ...env },
  });
  await until(`${app} runs`, () => {
    if (program.child.exitCode !== null) throw new Error(`${app} ended: ${program.stdout}${program.stderr}`);
    return `${program.stdout}${program.stderr}`.includes(`${app} runs`);
  });
  return program;
}

/** Where a gateway says that it listens. */
export function urlOf({ stdout, stderr }: Program): string {
  const url = /"url":"(http:[^"]+)"/.exec(`${stdout}${stderr}`)?.[1];
  if (url === undefined) throw new Error(`The gateway does not say where it listens: ${stdout}${stderr}`);
  return url;
}
