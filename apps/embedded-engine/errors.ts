/** Failures that only this engine has; libs/ollama-wire has those of every server of this API. */
import { ApiError } from '#ollama-wire';

/** The two spaces are Ollama's. */
export function busy(): ApiError {
  return new ApiError(503, 'server busy, please try again.  maximum pending requests exceeded');
}

/** Part of Ollama's API that this engine has not got: said plainly instead of pretended. */
export function notHere(what: string): ApiError {
  return new ApiError(501, `the built-in engine does not have ${what}`);
}

/** The request's client is gone: nothing is sent, everything it held is freed. */
export class Gone extends Error {
  constructor() {
    super('the client has gone');
  }
}
