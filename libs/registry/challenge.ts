/** The token challenge of a registry: `WWW-Authenticate: Bearer realm="…",service="…",scope="…"` (distribution spec, token authentication). Pure. */

/** The address that hands out a token, with its parameters; undefined for other schemes and for a realm that is no address. */
export function tokenAddress(header: string | undefined): URL | undefined {
  const parameters = /^Bearer\s+(.*)$/i.exec(header ?? '')?.[1];
  if (parameters === undefined) return undefined;
  const values = new Map([...parameters.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name = '', value = '']) => [name.toLowerCase(), value]));
  const realm = values.get('realm') ?? '';
  if (!URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  for (const name of ['service', 'scope']) {
    const value = values.get(name);
    if (value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

/** The token in an answer of that address. */
export function tokenIn(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  for (const name of ['token', 'access_token']) {
    const value: unknown = Reflect.get(answer, name);
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}
