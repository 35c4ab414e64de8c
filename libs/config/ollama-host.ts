/** OLLAMA_HOST, read as Ollama's own tools read it (envconfig/config.go), except that an address to listen on becomes one to call. */

export interface OllamaHost {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** What had to be guessed, a sentence for a person. */
  readonly notice?: string;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };
/** "Every interface" is where a server listens, not where a client calls. */
const UNSPECIFIED: Readonly<Record<string, string>> = { '': '127.0.0.1', '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * The engine's URL behind "host", "host:port", ":port", "scheme://host:port/path" or an IPv6 address, with or without brackets.
 * Without a scheme the port is 11434; with one it is the scheme's own.
 * @returns undefined where Ollama's tools could not call it either.
 */
export function parseOllamaHost(text: string): OllamaHost | undefined {
  const bare = text.trim().replace(/^["']+|["']+$/g, '');
  if (bare === 'ollama.com') return { url: 'https://ollama.com' };
  const [, scheme = 'http', rest = ''] = /^(?:([^:/]*):\/\/)?(.*)$/s.exec(bare) ?? [];
  const defaultPort = bare.includes('://') ? DEFAULT_PORTS[scheme] : '11434';
  if (defaultPort === undefined) return undefined;
  const slash = rest.indexOf('/');
  const [authority, path] = slash < 0 ? [rest, ''] : [rest.slice(0, slash), rest.slice(slash)];
  const { host, port } = splitPort(authority);
  const portIsValid = port === undefined || port === '' || (/^\d{1,5}$/.test(port) && Number(port) <= 65_535);
  const url = urlOf(scheme, UNSPECIFIED[host] ?? host, portIsValid && port ? port : defaultPort, path);
  if (url === undefined || portIsValid) return url === undefined ? undefined : { url };
  return { url, notice: `OLLAMA_HOST: ${JSON.stringify(port)} is not a port; ${defaultPort} is used, as Ollama's tools do.` };
}

/** An address with more than one colon and no brackets is an IPv6 address without a port. */
function splitPort(authority: string): { host: string; port?: string } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(authority);
  if (bracketed) return { host: bracketed[1] ?? '', ...(bracketed[2] !== undefined && { port: bracketed[2] }) };
  const colon = authority.indexOf(':');
  if (colon < 0 || colon !== authority.lastIndexOf(':')) return { host: authority };
  return { host: authority.slice(0, colon), port: authority.slice(colon + 1) };
}

function urlOf(scheme: string, host: string, port: string, path: string): string | undefined {
  // A name that could not be a host would otherwise end up as a user, a query or a fragment of the URL.
  if (!/^[^\s/?#@\\]+$/.test(host)) return undefined;
  const text = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
  return URL.canParse(text) ? new URL(text).href.replace(/\/+$/, '') : undefined;
}
