/** The environment as assignments: OLLAMESH_<PATH> for every setting, the short forms, and the variables of NATS and Ollama. */
import type { Problem } from './config-error.js';
import type { Environment } from './environment.js';
import { parseOllamaHost } from './ollama-host.js';
import type { Assignment } from './origin.js';
import { NO_SETTINGS } from './places.js';
import type { Setting } from './settings.js';
import { nearest } from './suggest.js';

export interface VariablesRead {
  readonly assignments: Assignment[];
  readonly problems: Problem[];
  readonly notices: string[];
}

/** Shorter names for settings that also have their derived one; that one wins where both are set. */
const SHORT_FORMS: Readonly<Record<string, string>> = { OLLAMESH_ENGINE: 'engine.driver', OLLAMESH_MODELS: 'models.required' };

/**
 * Reads the variables that concern ollamesh; an empty one counts as unset. An unknown OLLAMESH_* variable is a problem,
 * because a misspelt one would otherwise change nothing and say nothing.
 */
export function readVariables(env: Environment, settings: readonly Setting[]): VariablesRead {
  const result: VariablesRead = { assignments: [], problems: [], notices: [] };
  const given = variablesGiven(env, result);
  const settingAt = new Map(settings.map((setting) => [setting.path, setting]));

  // Later assignments win: foreign variables first, then short forms, then the exact names.
  readForeign(given, result);
  for (const [variable, path] of Object.entries(SHORT_FORMS)) assign(given, variable, settingAt.get(path), result);
  for (const setting of settings) assign(given, setting.variable, setting, result);

  const known = new Set([...settings.map(({ variable }) => variable), ...Object.keys(SHORT_FORMS), ...NO_SETTINGS]);
  for (const name of given.keys()) {
    if (!name.startsWith('OLLAMESH_') || known.has(name)) continue;
    const suggestion = nearest(name, known);
    result.problems.push({ origin: name, reason: 'is not a variable of ollamesh', ...(suggestion !== undefined && { suggestion }) });
  }
  return result;
}

function variablesGiven(env: Environment, { notices }: VariablesRead): Map<string, string> {
  const given = new Map<string, string>();
  const fromKubernetes: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    const text = value?.trim() ?? '';
    if (text === '') continue;
    if (isServiceLink(name, text)) fromKubernetes.push(name);
    else given.set(name, text);
  }
  if (fromKubernetes.length > 0) {
    notices.push(`Ignored what Kubernetes sets for services named ollamesh…: ${fromKubernetes.toSorted().join(', ')}.`);
  }
  return given;
}

/** Kubernetes tells every pod about a service `ollamesh-gateway` by OLLAMESH_GATEWAY_PORT=tcp://… and a few more names like it. */
function isServiceLink(name: string, value: string): boolean {
  if (!name.startsWith('OLLAMESH_')) return false;
  if (/_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value);
}

function readForeign(given: ReadonlyMap<string, string>, { assignments, problems, notices }: VariablesRead): void {
  const nats = given.get('NATS_URL');
  // NATS's own tools take a server without its scheme.
  if (nats !== undefined) assignments.push(fromVariable('NATS_URL', 'bus.url', nats.includes('://') ? nats : `nats://${nats}`));
  const service = given.get('OLLAMA_SERVICE_URL');
  if (service !== undefined) assignments.push(fromVariable('OLLAMA_SERVICE_URL', 'engine.service', service));
  const ollama = given.get('OLLAMA_HOST');
  if (ollama === undefined) return;
  const host = parseOllamaHost(ollama);
  if (!host) {
    problems.push({ origin: 'OLLAMA_HOST', reason: 'is not an address of an Ollama server, such as 127.0.0.1:11434' });
    return;
  }
  assignments.push(fromVariable('OLLAMA_HOST', 'engine.url', host.url));
  if (host.notice !== undefined) notices.push(host.notice);
}

function assign(given: ReadonlyMap<string, string>, variable: string, setting: Setting | undefined, { assignments, notices }: VariablesRead): void {
  const text = given.get(variable);
  if (text === undefined || !setting) return;
  const value = setting.read(text);
  const before = assignments.findIndex(({ path }) => path === setting.path);
  if (before >= 0) {
    const [replaced] = assignments.splice(before, 1);
    if (replaced && JSON.stringify(replaced.value) !== JSON.stringify(value)) notices.push(`${variable} is used instead of ${replaced.origin.name}.`);
  }
  assignments.push(fromVariable(variable, setting.path, value));
}

const fromVariable = (name: string, path: string, value: unknown): Assignment => ({ path, value, origin: { from: 'environment', name } });
