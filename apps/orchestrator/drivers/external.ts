/** An Ollama that runs already: at the configured URL, or where Ollama listens by default. Attached, never stopped. */
import { request } from 'undici';
import type { EngineConfig } from '#config';
import { withDeadline } from '#deadline';
import type { Candidate, Driver, NotMe, RunningEngine } from './driver.js';

const DEFAULT_URL = 'http://127.0.0.1:11434';
const LOOK_TIMEOUT_MS = 1_000;

export function createExternalDriver({ url }: Pick<EngineConfig, 'url'>): Driver {
  const address = (url ?? DEFAULT_URL).replace(/\/+$/, '');
  return {
    driver: 'external',
    async probe(signal): Promise<Candidate | NotMe> {
      const seen = await look(address, signal);
      if (seen.kind === 'gateway') {
        return { driver: 'external', notMe: `An ollamesh gateway answers at ${address}; attaching to it would make a loop.` };
      }
      if (seen.kind === 'nothing' && url === undefined) return { driver: 'external', notMe: `No Ollama answers at ${address}.` };
      const found = seen.kind === 'ollama' ? `Ollama ${seen.version} answers at ${address}.` : `${address} is configured, but does not answer yet.`;
      return {
        driver: 'external',
        found,
        attached: true,
        gpu: false,
        downloadBytes: 0,
        async start(report): Promise<RunningEngine> {
          report.starting(`Attaching to ${address}.`);
          return { url: address, exited: new Promise(() => undefined), lastLogLines: () => [], stop: async () => 'left running' };
        },
      };
    },
  };
}

type Seen = { kind: 'ollama'; version: string } | { kind: 'gateway' } | { kind: 'nothing' };

async function look(url: string, signal: AbortSignal): Promise<Seen> {
  try {
    const response = await request(`${url}/api/version`, { signal: withDeadline(signal, LOOK_TIMEOUT_MS) });
    const text = await response.body.text();
    if (response.headers['x-ollamesh'] !== undefined) return { kind: 'gateway' };
    const body: unknown = JSON.parse(text);
    const version = typeof body === 'object' && body !== null && 'version' in body ? body.version : undefined;
    return typeof version === 'string' ? { kind: 'ollama', version } : { kind: 'nothing' };
  } catch {
    return { kind: 'nothing' }; // Nobody there, or somebody else: either way no Ollama.
  }
}
