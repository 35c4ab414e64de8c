/** Whether a gateway of this machine asks for a key. By node:http, since a dev server waits for it and a first fetch takes ten times as long. */
import { get } from 'node:http';
import { MeshError } from '#mesh-error';

const ANSWER_MS = 15_000;

/**
 * True when the gateway lets this caller in, with a key or without one.
 * @throws MeshError `unavailable` when it does not answer
 */
export function letsIn(url: string, key?: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // What any key may see, and takes nobody's time.
    const request = get(`${url}/cache`, { agent: false, timeout: ANSWER_MS, headers: key === undefined ? {} : { 'x-api-key': key } }, (response) => {
      response.resume();
      resolve(response.statusCode !== 401 && response.statusCode !== 429);
    });
    request.once('timeout', () => request.destroy(new Error(`No answer within ${ANSWER_MS} ms.`)));
    request.once('error', (cause) => reject(new MeshError('unavailable', `The gateway at ${url} does not answer.`, { cause })));
  });
}
