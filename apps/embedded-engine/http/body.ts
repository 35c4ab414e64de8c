/** Reads a request's body up to a bound and decodes it, with Ollama's errors for a missing or broken one. */
import type { IncomingMessage } from 'node:http';
import { ApiError, decodeJson, JsonError } from '#ollama-wire';
import { Gone } from '../errors.js';

/** Largest request body (bytes); a longer one is answered 413. Room for long chats and a few images. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** The body as text. @throws ApiError 413, Gone when the client leaves in the middle */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) throw new ApiError(413, `request body too large, the limit is ${MAX_BODY_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new Gone();
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

/** The decoded JSON body, whatever its content type: Ollama's users send `curl -d`. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const text = await readBody(request);
  if (text === '') throw new ApiError(400, 'missing request body');
  try {
    return decodeJson(text);
  } catch (error) {
    if (error instanceof JsonError) throw new ApiError(400, error.message);
    throw error;
  }
}
