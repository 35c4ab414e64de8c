/**
 * Speaks the registry protocol (OCI distribution spec, as registry.ollama.ai, hf.co and docker-registry do): manifests, parts of blobs,
 * tokens, redirects. Knows nothing of files.
 */
import { BlockList, isIP } from 'node:net';
import { Agent, EnvHttpProxyAgent, type Dispatcher, request } from 'undici';
import type { ModelNameParts } from '#contracts';
import { parseManifest, type Layer, type Manifest } from './manifest.js';
import { tokenAddress, tokenIn } from './challenge.js';
import { RegistryError, networkFailure, statusFailure } from './failure.js';
import { retryAfterMs } from './retry.js';

export interface Source {
  readonly name: ModelNameParts;
  /** Plain HTTP instead of HTTPS, because the user asked for it. */
  readonly insecure: boolean;
}

export interface FetchedManifest {
  /** As it came: its digest is the model's identity. */
  readonly text: Buffer;
  readonly manifest: Manifest;
}

/** The server sent a whole blob where a part was asked for. */
export class NoRanges extends Error {}

export interface ClientOptions {
  readonly userAgent: string;
  /** A connection that brings no byte for this long (ms) is given up. */
  readonly stallMs?: number;
}

const STALL_MS = 30_000;
const CONNECT_MS = 10_000;
const MAX_REDIRECTS = 10;
/** Largest real manifests take a few kB. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Bytes read of an error's or a token's body. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_TOKENS = 256;

const MANIFEST_TYPES = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export class RegistryClient {
  readonly #userAgent: string;
  /** Honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which it reads itself. */
  readonly #outside: Dispatcher;
  /** A proxy can't reach our loopback. */
  readonly #inside: Dispatcher;
  /** By host and repository. */
  readonly #tokens = new Map<string, string>();

  constructor({ userAgent, stallMs = STALL_MS }: ClientOptions) {
    const options = { connect: { timeout: CONNECT_MS }, headersTimeout: stallMs, bodyTimeout: stallMs };
    this.#userAgent = userAgent;
    this.#outside = new EnvHttpProxyAgent(options);
    this.#inside = new Agent(options);
  }

  /** @throws RegistryError */
  async manifest(source: Source, signal: AbortSignal): Promise<FetchedManifest> {
    const { response, url } = await this.#get(source, `manifests/${source.name.tag}`, { accept: MANIFEST_TYPES }, signal);
    const text = await readAll(response, MAX_MANIFEST_BYTES, url);
    const manifest = parseManifest(text.toString('utf8'));
    if (manifest === undefined) throw new RegistryError('the registry answered with something that is no manifest of a model');
    return { text, manifest };
  }

  /**
   * The bytes [from, to) of a blob, as they arrive; may end early when the connection does.
   * @param whole the blob is not asked for in parts any more
   * @throws RegistryError, also when the server's blob is not as long as the manifest says; NoRanges unless `whole`
   */
  async *bytes(source: Source, { digest, size }: Layer, from: number, to: number, whole: boolean, signal: AbortSignal): AsyncGenerator<Buffer, void> {
    const { response, url } = await this.#get(source, `blobs/${digest}`, { range: `bytes=${from}-${to - 1}`, 'accept-encoding': 'identity' }, signal);
    try {
      let skip = 0;
      if (response.statusCode === 206) checkRange(response, from, size);
      else {
        checkLength(response, size);
        if (!whole && (from > 0 || to < size)) throw new NoRanges();
        skip = from;
      }
      let left = to - from;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        const wanted = chunk.subarray(Math.min(skip, chunk.length)).subarray(0, left);
        skip -= Math.min(skip, chunk.length);
        left -= wanted.length;
        if (wanted.length > 0) yield wanted;
        if (left === 0) return;
      }
    } catch (error) {
      if (error instanceof NoRanges || signal.aborted) throw error;
      throw networkFailure(url, error);
    } finally {
      response.body.on('error', () => undefined); // Cut off on purpose.
      response.body.destroy();
    }
  }

  /** A successful answer, after a token and redirects where the registry wants them. */
  async #get(source: Source, path: string, headers: Record<string, string>, signal: AbortSignal): Promise<{ response: Dispatcher.ResponseData; url: string }> {
    const { name, insecure } = source;
    const url = new URL(`${insecure ? 'http' : 'https'}://${name.host}/v2/${name.namespace}/${name.model}/${path}`);
    const scope = `${url.host}/${name.namespace}/${name.model}`;
    let answer = await this.#follow(url, headers, this.#tokens.get(scope), insecure, signal);
    if (answer.response.statusCode === 401) {
      const address = tokenAddress(one(answer.response.headers['www-authenticate']));
      await dump(answer.response);
      if (address === undefined) throw statusFailure(401, '');
      const token = await this.#token(address, insecure, signal);
      if (this.#tokens.size >= MAX_TOKENS) this.#tokens.clear();
      this.#tokens.set(scope, token);
      answer = await this.#follow(url, headers, token, insecure, signal);
    }
    const { response } = answer;
    if (response.statusCode === 200 || response.statusCode === 206) return answer;
    const text = await readAll(response, MAX_TEXT_BYTES, answer.url);
    throw statusFailure(response.statusCode, text.toString('utf8'), retryAfterMs(one(response.headers['retry-after']), Date.now()));
  }

  /** Follows redirects by hand: another host must not get the token, and a secure request must not become an open one. */
  async #follow(first: URL, headers: Record<string, string>, token: string | undefined, insecure: boolean, signal: AbortSignal) {
    let url = first;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const authorization: Record<string, string> = token !== undefined && url.origin === first.origin ? { authorization: `Bearer ${token}` } : {};
      const response = await this.#send(url, { ...headers, ...authorization }, signal);
      if (!REDIRECTS.has(response.statusCode)) return { response, url: url.href };
      await dump(response);
      const location = one(response.headers.location);
      if (location === undefined || !URL.canParse(location, url.href)) throw new RegistryError('http: no Location header in response');
      url = new URL(location, url);
      if (url.protocol !== 'https:' && !(insecure && url.protocol === 'http:')) throw new RegistryError(`the registry redirects to ${url.protocol}//${url.host}, which is not secure`);
    }
    throw new RegistryError(`stopped after ${MAX_REDIRECTS} redirects`);
  }

  async #token(address: URL, insecure: boolean, signal: AbortSignal): Promise<string> {
    if (address.protocol !== 'https:' && !(insecure && address.protocol === 'http:')) throw new RegistryError(`the registry wants a token from ${address.origin}, which is not secure`);
    const response = await this.#send(address, {}, signal);
    const text = (await readAll(response, MAX_TEXT_BYTES, address.href)).toString('utf8');
    if (response.statusCode !== 200) throw statusFailure(response.statusCode, text, retryAfterMs(one(response.headers['retry-after']), Date.now()));
    const token = tokenIn(jsonOf(text));
    if (token === undefined) throw new RegistryError(`${address.origin} answered without a token`);
    return token;
  }

  async #send(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const dispatcher = isOwnMachine(url.hostname) ? this.#inside : this.#outside;
    try {
      return await request(url, { method: 'GET', headers: { 'user-agent': this.#userAgent, ...headers }, dispatcher, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw networkFailure(url.href, error);
    }
  }
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isOwnMachine(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  return family === 0 ? address === 'localhost' || address.endsWith('.localhost') : LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function checkRange(response: Dispatcher.ResponseData, from: number, size: number): void {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(one(response.headers['content-range']) ?? '') ?? [];
  if (total !== undefined && total !== '*' && Number(total) !== size) throw wrongLength(size, Number(total));
  if (Number(start) !== from) throw new RegistryError(`the registry sent bytes from ${start ?? 'nowhere'} where those from ${from} were asked for`);
}

function checkLength(response: Dispatcher.ResponseData, size: number): void {
  const length = one(response.headers['content-length']);
  if (length !== undefined && Number(length) !== size) throw wrongLength(size, Number(length));
}

function wrongLength(size: number, got: number): RegistryError {
  return new RegistryError(`wrong length: the manifest says ${size} bytes, the registry has ${got}`);
}

async function readAll(response: Dispatcher.ResponseData, most: number, url: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > most) throw new RegistryError(`the answer of ${url} is larger than ${most} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw networkFailure(url, error);
  }
  return Buffer.concat(chunks);
}

async function dump(response: Dispatcher.ResponseData): Promise<void> {
  await response.body.dump({ limit: MAX_TEXT_BYTES });
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
