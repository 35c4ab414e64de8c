/** The gateway's HTTP doors, as far as the page needs them. */
import type { ErrorBody } from '#contracts';
import { Refusal } from './errors.js';
import { askForKey, keyHeaders } from './key.js';

/** @throws Refusal with the gateway's error body */
export async function request<Answer>(method: string, path: string, body?: object): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: 'application/json', ...keyHeaders(), ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Refusal({ code: 'unavailable', message: 'The gateway could not be reached.', retryable: true });
  }
  const answer = (await response.json().catch(() => undefined)) as Answer & { error?: ErrorBody };
  if (response.ok && answer !== undefined) return answer;
  if (response.status === 401) askForKey(answer?.error?.message);
  throw new Refusal(answer?.error ?? { code: 'internal', message: `The gateway answered ${response.status}.`, retryable: response.status >= 500 });
}
