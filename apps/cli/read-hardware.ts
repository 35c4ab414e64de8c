/** Reads this machine's hardware in this process, for commands that need no mesh. */
import { environment } from '#config';
import type { Hardware } from '#contracts';
import { HardwareReader } from '#hardware';
import { type SharedOptions, loadSettings } from './settings.js';

/** There is one reading only: it waits for drivers that must first wake up. */
const PATIENCE_MS = 3_000;

export async function readHardware(options: SharedOptions): Promise<Hardware> {
  const { config } = await loadSettings(options);
  return await new HardwareReader({ node: config.node, dockerHost: environment()['DOCKER_HOST'], patienceMs: PATIENCE_MS, toolTimeoutMs: PATIENCE_MS }).read();
}
