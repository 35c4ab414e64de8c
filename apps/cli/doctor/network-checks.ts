/** Checks of what is reached through sockets: the running mesh, the gateway's port, the bus, an engine, the model registry. Each is bounded in time. */
import { createServer, connect as connectTcp } from 'node:net';
import { EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import type { LoadedConfig } from '#config';
import { DEFAULT_HOST } from '#contracts';
import { withDeadline } from '#deadline';
import type { Check, Verdict } from './check.js';

/** How long one connection or answer may take, in milliseconds. */
const ANSWER_MS = 3_000;
const OLLAMA_URL = 'http://127.0.0.1:11434';

/** @param url the gateway that runs, if one does */
export function meshCheck(url: string | undefined): Check {
  return {
    name: 'mesh',
    run: async (signal) => {
      if (url === undefined) return { state: 'note', detail: 'No mesh runs.', next: 'ollamesh up' };
      const { body } = await get(`${url}/ready`, signal);
      const { ready, reasons } = z.object({ ready: z.boolean(), reasons: z.array(z.string()) }).parse(JSON.parse(body));
      return ready ? { state: 'ok', detail: `It runs at ${url}/ and is ready.` } : { state: 'warn', detail: `It runs at ${url}/ but is not ready: ${reasons.join(' ')}`, next: 'ollamesh status' };
    },
  };
}

/** @param running true when it is our own mesh that has the port */
export function portCheck({ gateway: { host, port } }: Pick<LoadedConfig, 'gateway'>, running: boolean): Check {
  return {
    name: 'port',
    run: async () => {
      if (port === 0) return { state: 'ok', detail: 'The gateway takes any free port.' };
      const obstacle = await obstacleTo(host, port);
      if (obstacle === undefined) return { state: 'ok', detail: `Port ${port} on ${host} is free for the gateway.` };
      if (running && obstacle === 'EADDRINUSE') return { state: 'ok', detail: `Port ${port} on ${host} is in use while a mesh runs.` };
      if (obstacle === 'EADDRINUSE') return { state: 'warn', detail: `Port ${port} on ${host} is taken by another program: the next free one is used.`, next: `See who has it (ss -ltnp 'sport = :${port}'), or set gateway.port (OLLAMESH_GATEWAY_PORT)` };
      return { state: 'fail', detail: `The gateway can't listen on ${host}:${port} (${obstacle}).`, next: 'Set gateway.host and gateway.port to an address of this machine and a port above 1023' };
    },
  };
}

/** The system's code for why nobody could listen there; undefined where one could. */
function obstacleTo(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'unknown'));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

export function busCheck({ bus }: Pick<LoadedConfig, 'bus'>): Check {
  return {
    name: 'bus',
    run: async (signal) => {
      if (bus.url === undefined) return { state: 'ok', detail: bus.server === 'embedded' ? 'The built-in broker needs nothing.' : 'nats-server is started as a child.' };
      const { hostname, port } = new URL(bus.url);
      const greeting = await firstLine(hostname, Number(port || 4222), signal);
      if (greeting.startsWith('INFO ')) return { state: 'ok', detail: `A NATS server answers at ${withoutSecrets(bus.url)}.` };
      return { state: 'fail', detail: `No NATS server at ${withoutSecrets(bus.url)}: ${greeting}.`, next: 'Start it (nats-server -js), correct NATS_URL, or unset it to use the built-in broker' };
    },
  };
}

/** What a server says first, which NATS does by itself; or why nothing came. */
function firstLine(host: string, port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host, port });
    const end = (text: string) => {
      signal.removeEventListener('abort', given);
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const given = () => end('no answer');
    const timer = setTimeout(given, ANSWER_MS);
    signal.addEventListener('abort', given);
    socket.once('data', (bytes) => end(bytes.toString('utf8', 0, 200)));
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => end(code ?? message));
    socket.once('close', () => end('it hung up'));
  });
}

export function engineCheck({ engine: { driver, url } }: Pick<LoadedConfig, 'engine'>): Check {
  return {
    name: 'engine',
    run: async (signal) => {
      const place = url ?? OLLAMA_URL;
      try {
        const { status, body } = await get(`${place}/api/version`, signal);
        const version = z.object({ version: z.string() }).safeParse(status === 200 ? JSON.parse(body) : undefined);
        if (version.success) return { state: 'ok', detail: `Ollama ${version.data.version} answers at ${withoutSecrets(place)}.` };
        return elsewhere(driver, url, `${withoutSecrets(place)} answers, but not as Ollama does`);
      } catch (thrown) {
        return elsewhere(driver, url, `No Ollama answers at ${withoutSecrets(place)} (${wordOf(thrown)})`);
      }
    },
  };
}

/** What it means that no engine runs: a failure only where no other may be used. */
function elsewhere(driver: LoadedConfig['engine']['driver'], url: string | undefined, detail: string): Verdict {
  if (driver === 'external') return { state: 'fail', detail: `${detail}, and engine.driver is "external".`, next: 'ollama serve, or correct engine.url (OLLAMA_HOST)' };
  if (url !== undefined) return { state: 'warn', detail: `${detail}; another engine is used.`, next: 'ollama serve, or correct engine.url (OLLAMA_HOST)' };
  return { state: 'note', detail: `${detail}: one is started when needed.` };
}

export function registryCheck(url = `https://${DEFAULT_HOST}/v2/`): Check {
  return {
    name: 'registry',
    run: async (signal) => {
      const { host } = new URL(url);
      try {
        // Any answer will do: it is reached.
        await get(url, signal, new EnvHttpProxyAgent());
        return { state: 'ok', detail: `${host} is reached: models can be pulled.` };
      } catch (thrown) {
        return { state: 'warn', detail: `${host} is not reached (${wordOf(thrown)}): models that are here work, others can't be pulled.`, next: `curl -I ${url}; behind a proxy, set HTTPS_PROXY` };
      }
    },
  };
}

/** @throws what undici throws, or a time-out */
async function get(url: string, signal: AbortSignal, dispatcher?: EnvHttpProxyAgent): Promise<{ status: number; body: string }> {
  try {
    const limit = withDeadline(signal, ANSWER_MS);
    const { statusCode, body } = await request(url, { signal: limit, ...(dispatcher && { dispatcher }), reset: true });
    return { status: statusCode, body: (await body.text()).slice(0, 64 * 1024) };
  } finally {
    await dispatcher?.close();
  }
}

function wordOf(thrown: unknown): string {
  const { name, code, message } = thrown as NodeJS.ErrnoException;
  if (name === 'TimeoutError') return `no answer within ${ANSWER_MS / 1_000} s`;
  return typeof code === 'string' ? code : message;
}

/** A URL as it may be shown: what stands before the @ is for nobody's eyes. */
function withoutSecrets(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href.replace(/\/$/, '');
}
