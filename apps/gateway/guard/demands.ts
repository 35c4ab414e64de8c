/** What each request demands of its caller, for every door in one table; what is not in it demands most. Pure; admission.ts enforces it. */
import type { KeyScope } from '#contracts';

export interface Demand {
  /** The scope it takes. `open`: none. `token`: none either, but the request's own proof: a stream's id or owner token, a session's token. */
  readonly scope: KeyScope | 'open' | 'token';
  /** True where a model has to work for it. */
  readonly inference?: true;
}

const OPEN: Demand = { scope: 'open' };
const TOKEN: Demand = { scope: 'token' };
const WATCH: Demand = { scope: 'watch' };
const CHAT: Demand = { scope: 'chat' };
const INFERENCE: Demand = { scope: 'chat', inference: true };
const MANAGE: Demand = { scope: 'operator' };

type Methods = 'read' | 'write' | 'any';

/** The first line that fits counts. Express takes paths in any case and with a slash behind, so these do too. */
const RULES: readonly [Methods, RegExp, Demand][] = [
  // The page, its files, and what says that somebody is here.
  ['read', /^\/$|^\/(page|watch)\/|^\/docs(-json|-yaml)?(\/|$)|^\/(health|ready)\/?$|^\/api\/version\/?$/i, OPEN],
  // A stream's id is a watch link; ending it takes the owner's token. A session is its members'.
  ['any', /^\/streams\/[^/]+\/?$/i, TOKEN],
  ['write', /^\/sessions\/[^/]+\/messages\/?$/i, { scope: 'token', inference: true }],
  ['any', /^\/sessions\/./i, TOKEN],
  ['write', /^\/streams\/?$/i, INFERENCE],
  ['write', /^\/sessions\/?$/i, CHAT],
  // OpenAI's API.
  ['read', /^\/v1\/models(\/|$)/i, WATCH],
  ['read', /^\/v1\//i, CHAT],
  ['write', /^\/v1\//i, INFERENCE],
  // Ollama's API; what is not here manages models.
  ['write', /^\/api\/(chat|generate|embed|embeddings)\/?$/i, INFERENCE],
  ['any', /^\/api\/(show|tags|ps)\/?$/i, WATCH],
  // The AI SDK's.
  ['read', /^\/ai\//i, CHAT],
  ['write', /^\/ai\//i, INFERENCE],
  ['read', /^\/(?!api\/)/i, WATCH],
];

export function demandOf(method: string, path: string): Demand {
  const kind: Methods = method === 'GET' || method === 'HEAD' ? 'read' : 'write';
  return RULES.find(([methods, pattern]) => (methods === 'any' || methods === kind) && pattern.test(path))?.[2] ?? MANAGE;
}

/** Over Socket.IO: what brings a stream's id or token, or a session's, and what does not. */
const EVENTS: ReadonlyMap<string, Demand> = new Map([
  ...['join', 'leave', 'cancel'].map((event) => [event, TOKEN] as const),
  ...['joinSession', 'leaveSession', 'stopAnswer', 'updateSession', 'addMember', 'removeMember', 'addLink', 'revokeLink', 'closeSession'].map((event) => [event, TOKEN] as const),
  ['say', { scope: 'token', inference: true }],
  ['chat', INFERENCE],
  ['createSession', CHAT],
  ['watchPulls', WATCH],
]);

export function demandOfEvent(event: string): Demand {
  return EVENTS.get(event) ?? MANAGE;
}
