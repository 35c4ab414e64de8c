/** Failures of /v1 in OpenAI's envelope. What is wrong with a request is told with a charset, what fails behind it without, as Ollama does. */
import { ApiError, decodeJson, JsonError } from '#ollama-wire';
import { Gone } from '../errors.js';
import { readBody } from '../http/body.js';
import { sendText } from '../http/reply.js';
import type { Exchange, Handler } from '../http/routes.js';

/** Reads the request with `read`, answers it with `answer`, and tells the failures of both. */
export function openaiHandler<T>(read: (body: unknown) => T, answer: (exchange: Exchange, request: T) => Promise<void>): Handler {
  return async (exchange) => {
    let request: T;
    try {
      request = read(await jsonBody(exchange));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return sendText(exchange.response, error.status, envelope(error), 'application/json; charset=utf-8');
    }
    await telling(exchange, () => answer(exchange, request));
  };
}

/** Tells a failure of `work` before the first byte as a status, after it as an event. */
export async function telling({ response, gone }: Exchange, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Gone || gone.aborted) throw error;
    const known = error instanceof ApiError ? error : new ApiError(500, error.message);
    if (response.headersSent) response.end(`data: ${envelope(known)}\n\n`);
    else sendText(response, known.status, `${envelope(known)}\n`, 'application/json');
  }
}

function envelope({ status, message }: ApiError): string {
  const type = new Map([[400, 'invalid_request_error'], [404, 'not_found_error']]).get(status) ?? 'api_error';
  return JSON.stringify({ error: { message, type, param: null, code: null } });
}

/** A missing body is Go's end of file here. */
async function jsonBody({ request }: Exchange): Promise<unknown> {
  try {
    return decodeJson(await readBody(request));
  } catch (error) {
    if (error instanceof JsonError) throw new ApiError(400, error.message);
    throw error;
  }
}
