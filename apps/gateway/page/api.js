/** The gateway's HTTP doors, as far as the page needs them; what fails is thrown as the gateway's error body. */
import { askForKey, keyHeaders } from './key.js';

/** @throws an error body `{code, message, retryable, details?}` */
export async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: 'application/json', ...keyHeaders(), ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  } catch {
    throw { code: 'unavailable', message: 'The gateway could not be reached.', retryable: true };
  }
  const answer = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer;
  if (response.status === 401) askForKey(answer?.error?.message);
  throw answer?.error ?? { code: 'internal', message: `The gateway answered ${response.status}.`, retryable: response.status >= 500 };
}
