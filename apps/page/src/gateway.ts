/** The page's client of its gateway. It asks for a key where one is needed, and never gives up: the page says that it waits. */
import { io } from 'socket.io-client';
import { type ErrorBody, createClient } from '#client';
import { askForKey, storedKey } from './key.js';

export const gateway = createClient({
  url: location.origin,
  transport: io, // A browser has six connections to a site for all of its tabs, and WebSockets are not among them.
  retry: { attempts: Infinity, maxMs: 2_000 },
  apiKey: storedKey(),
  fetch: asking,
});

async function asking(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request);
  if (response.status === 401) {
    const { error } = (await response.clone().json().catch(() => ({}))) as { error?: ErrorBody };
    askForKey(error?.message);
  }
  return response;
}
