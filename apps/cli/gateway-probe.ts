/** The few questions that are asked of a gateway before a command of the user's begins, without the schemas of a whole client. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '#contracts';
import { withDeadline } from '#deadline';
import { MeshError } from '#mesh-error';

const HEALTH_TIMEOUT_MS = 1_000;
const ANSWER_TIMEOUT_MS = 15_000;
const MIN_POLL_MS = 50;
const MAX_POLL_MS = 500;

type EngineSeen = Pick<Engine, 'state' | 'reason' | 'url'>;

export class GatewayProbe {
  /** @param key an API key, or the operator's token */
  constructor(
    readonly url: string,
    private readonly key?: string,
  ) {}

  /** True when an ollamesh gateway answers there. */
  async answers(): Promise<boolean> {
    try {
      const { ok, headers } = await this.#get('/health', HEALTH_TIMEOUT_MS);
      return ok && headers.has('x-ollamesh');
    } catch {
      return false; // Nobody there.
    }
  }

  /** True when the gateway lets this caller in, with its key or without one. @throws MeshError `unavailable` */
  async letsIn(): Promise<boolean> {
    const { status } = await this.#get('/cache'); // What any key may see, and takes nobody's time.
    return status !== 401 && status !== 429;
  }

  /** @throws MeshError `unavailable`, and what the gateway answers instead */
  async engines(): Promise<readonly EngineSeen[]> {
    const { status, text } = await this.#get('/engine');
    const { nodes, error } = bodyOf(text);
    if (status === 200 && nodes) return nodes;
    throw error ? MeshError.fromBody(error) : new MeshError('unavailable', `The gateway answered with status ${status}.`);
  }

  async #get(path: string, timeoutMs = ANSWER_TIMEOUT_MS): Promise<{ ok: boolean; status: number; headers: Headers; text: string }> {
    try {
      const response = await fetch(this.url + path, { signal: withDeadline(undefined, timeoutMs), headers: this.key === undefined ? {} : { 'x-api-key': this.key } });
      return { ok: response.ok, status: response.status, headers: response.headers, text: await response.text() };
    } catch (cause) {
      throw new MeshError('unavailable', `The gateway at ${this.url} does not answer.`, { cause });
    }
  }
}

function bodyOf(text: string): { nodes?: EngineSeen[]; error?: Parameters<typeof MeshError.fromBody>[0] } {
  try {
    const body = JSON.parse(text) as { nodes?: unknown; error?: { code?: unknown; message?: unknown } };
    if (Array.isArray(body.nodes)) return { nodes: body.nodes as EngineSeen[] };
    return typeof body.error?.code === 'string' && typeof body.error.message === 'string' ? (body as ReturnType<typeof bodyOf>) : {};
  } catch {
    return {}; // No words of a gateway.
  }
}

/**
 * Waits until an engine answers; models may still be missing.
 * @throws MeshError `engine_unavailable` when it failed, or stays away; `unauthorized`, `forbidden`; the signal's reason
 */
export async function engineAnswering(client: Pick<GatewayProbe, 'engines'>, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const until = performance.now() + timeoutMs;
  let last = 'it has not said anything yet';
  for (let pollMs = MIN_POLL_MS; performance.now() < until; pollMs = Math.min(pollMs * 1.2, MAX_POLL_MS)) {
    try {
      for (const { state, reason, url } of await client.engines()) {
        if (url !== undefined) return;
        last = `it is ${state}: ${reason}`;
      }
    } catch (thrown) {
      const { code, message } = MeshError.from(thrown);
      if (code === 'unauthorized' || code === 'forbidden') throw thrown; // Waiting brings no key.
      last = message;
    }
    await sleep(pollMs, undefined, { signal });
  }
  throw new MeshError('engine_unavailable', `No engine answers after ${Math.round(timeoutMs / 1_000)} s; ${last}`);
}
