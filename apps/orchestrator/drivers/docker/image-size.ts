/** What pulling an image would weigh, asked of its registry as Docker asks: so that a large download can be announced before it begins. */
import { Agent, EnvHttpProxyAgent, type Dispatcher, fetch } from 'undici';
import { z } from 'zod';

const INDEX_TYPES = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];
const MANIFEST_TYPES = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'];
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
/** A manifest larger than this is none; in characters. */
const MAX_MANIFEST = 4 * 1024 ** 2;

const Index = z.object({ manifests: z.array(z.object({ digest: z.string(), platform: z.object({ os: z.string(), architecture: z.string() }).optional() })) });
const Manifest = z.object({ layers: z.array(z.object({ size: z.number().nonnegative() })) });

interface Place {
  readonly base: string;
  readonly repository: string;
  readonly reference: string;
}

/** Where an image is pulled from. Pure. */
export function placeOf(image: string): Place {
  const [first = '', ...rest] = image.split('/');
  const named = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const host = named ? first : 'registry-1.docker.io';
  const path = named ? rest.join('/') : rest.length === 0 ? `library/${image}` : image;
  const [withTag = '', digest] = path.split('@');
  const [repository = '', tag = 'latest'] = withTag.split(':');
  // Docker itself speaks plain HTTP with registries on loopback only.
  const scheme = /^(localhost|127\.)/.test(host) ? 'http' : 'https';
  return { base: `${scheme}://${host}/v2`, repository, reference: digest ?? tag };
}

/** Bytes to fetch for `image`, compressed; undefined where its registry does not say within the time that `signal` leaves. */
export async function imageSize(image: string, arch: string, signal: AbortSignal): Promise<number | undefined> {
  const place = placeOf(image);
  const dispatcher = place.base.startsWith('http:') ? new Agent() : new EnvHttpProxyAgent();
  try {
    const registry = new Registry(place, dispatcher, signal);
    let manifest = await registry.manifest(place.reference);
    const index = Index.safeParse(manifest);
    if (index.success) {
      const mine = index.data.manifests.find(({ platform }) => platform?.os === 'linux' && platform.architecture === (ARCHITECTURES[arch] ?? arch));
      if (!mine) return undefined;
      manifest = await registry.manifest(mine.digest);
    }
    return Manifest.parse(manifest).layers.reduce((sum, { size }) => sum + size, 0);
  } catch {
    return undefined; // Not reachable, or not for everybody: whether it can be pulled is for Docker to say.
  } finally {
    await dispatcher.destroy();
  }
}

class Registry {
  #authorization: string | undefined;

  constructor(
    readonly place: Place,
    private readonly dispatcher: Dispatcher,
    private readonly signal: AbortSignal,
  ) {}

  async manifest(reference: string): Promise<unknown> {
    const url = `${this.place.base}/${this.place.repository}/manifests/${reference}`;
    let response = await this.#get(url);
    if (response.status === 401 && this.#authorization === undefined) {
      this.#authorization = await this.#token(response.headers.get('www-authenticate') ?? '');
      response = await this.#get(url);
    }
    const text = await response.text();
    if (!response.ok || text.length > MAX_MANIFEST) throw new Error(`${url} answers ${response.status}`);
    return JSON.parse(text);
  }

  /** A token for anybody, from where the registry says; over TLS, as nobody else should be asked. */
  async #token(challenge: string): Promise<string> {
    const field = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1] ?? '';
    const url = new URL(field('realm'));
    if (url.protocol !== 'https:') throw new Error(`${url.origin} is not asked for a token`);
    url.searchParams.set('service', field('service'));
    url.searchParams.set('scope', `repository:${this.place.repository}:pull`);
    const { token } = z.object({ token: z.string() }).parse(await (await this.#get(url.href)).json());
    return `Bearer ${token}`;
  }

  #get(url: string) {
    const { dispatcher, signal } = this;
    return fetch(url, { dispatcher, signal, headers: { accept: [...INDEX_TYPES, ...MANIFEST_TYPES].join(', '), ...(this.#authorization !== undefined && { authorization: this.#authorization }) } });
  }
}
