/** Who may talk to the engine: rules on Origin and Host that keep web pages out, as Ollama's (recordings 50-*, 51-*). Pure. */
import { isIP } from 'node:net';

/** What to do with a request before any route sees it. */
export type Verdict =
  | { readonly kind: 'pass'; readonly headers: Readonly<Record<string, string | string[]>> }
  | { readonly kind: 'preflight'; readonly headers: Readonly<Record<string, string | string[]>> }
  | { readonly kind: 'refuse' };

const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '0.0.0.0', '[::1]']);
const APP_SCHEMES = new Set(['app:', 'file:', 'tauri:', 'vscode-webview:', 'vscode-file:']);
const LOCAL_SUFFIXES = ['.localhost', '.local', '.internal'];

const ALLOWED_HEADERS = [
  'Authorization', 'Content-Type', 'User-Agent', 'Accept', 'X-Requested-With', 'Openai-Beta',
  ...['Arch', 'Async', 'Custom-Poll-Interval', 'Helper-Method', 'Lang', 'Os', 'Package-Version', 'Poll-Helper', 'Retry-Count', 'Runtime', 'Runtime-Version', 'Timeout']
    .map((name) => `X-Stainless-${name}`),
].join(',');

/** Headers of every request that matter here; `ownName` is this machine's host name. */
export interface Asked {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly ownName: string;
}

/** A foreign or `null` Origin and a foreign Host are refused on every method. */
export function judge(asked: Asked): Verdict {
  if (!hostAllowed(asked.host, asked.ownName)) return { kind: 'refuse' };
  const { origin } = asked;
  if (origin === undefined || origin === '' || origin === `http://${asked.host ?? ''}`) return { kind: 'pass', headers: {} };
  if (!originAllowed(origin)) return { kind: 'refuse' };
  if (asked.method !== 'OPTIONS') return { kind: 'pass', headers: { 'Access-Control-Allow-Origin': origin, Vary: 'Origin' } };
  return {
    kind: 'preflight',
    headers: {
      'Access-Control-Allow-Headers': ALLOWED_HEADERS,
      'Access-Control-Allow-Methods': 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS',
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Max-Age': '43200',
      Vary: ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers'],
    },
  };
}

/** A name pointed at 127.0.0.1 by someone else's DNS arrives as that name: only IP addresses and local names pass. */
export function hostAllowed(host: string | undefined, ownName: string): boolean {
  if (host === undefined || host === '') return true;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  if (isIP(name.replace(/^\[|\]$/g, '')) !== 0) return true;
  return name === 'localhost' || name === ownName.toLowerCase() || LOCAL_SUFFIXES.some((suffix) => name.endsWith(suffix));
}

function originAllowed(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.protocol === 'http:' || url.protocol === 'https:') return LOCAL_NAMES.has(url.hostname);
  return APP_SCHEMES.has(url.protocol);
}
