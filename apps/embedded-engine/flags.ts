/** The command line of the engine's process; it reads nothing else, least of all the environment. */
import { parseArgs } from 'node:util';
import { parseKeepAlive } from './keep-alive.js';

export interface Flags {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Folder of the model store. */
  readonly store: string;
  /** Folders of an Ollama's models that are read too. */
  readonly readOnly: readonly string[];
  /** Answers at once per model. */
  readonly parallel: number;
  /** Requests that may wait, over all models. */
  readonly maxQueue: number;
  /** Keep-alive (ms) where no request names one. */
  readonly keepMs: number;
}

/** A command line that makes no sense; the message says what would. */
export class FlagError extends Error {}

export function parseFlags(args: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '0' },
      store: { type: 'string' },
      'read-only': { type: 'string', multiple: true, default: [] },
      parallel: { type: 'string', default: '4' },
      'max-queue': { type: 'string', default: '512' },
      'keep-alive': { type: 'string', default: '5m' },
    },
  });
  if (values.store === undefined || values.store === '') throw new FlagError('--store DIR is needed: the folder that holds the models');
  return {
    host: loopback(values.host),
    port: whole('port', values.port, 0, 65_535),
    store: values.store,
    readOnly: values['read-only'].filter((folder) => folder !== ''),
    parallel: whole('parallel', values.parallel, 1, 64),
    maxQueue: whole('max-queue', values['max-queue'], 0, 65_536),
    keepMs: keepAlive(values['keep-alive']),
  };
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || number > most) throw new FlagError(`--${name} is a whole number from ${least} to ${most}, not ${text}`);
  return number;
}

/** The engine has no keys and no users: only this machine may reach it. */
function loopback(host: string): string {
  if (host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)) return host;
  throw new FlagError(`--host is a loopback address such as 127.0.0.1, not ${host}`);
}

/** Seconds without a unit, as OLLAMA_KEEP_ALIVE has them, or a duration. */
function keepAlive(text: string): number {
  const parsed = parseKeepAlive(/^-?\d+$/.test(text) ? Number(text) : text);
  if ('error' in parsed) throw new FlagError(`--keep-alive is a duration such as 5m, 0 or -1, not ${text}`);
  return parsed.ms;
}
