/** One failure on its way to a client: the status and the text Ollama would send. */

export class ApiError extends Error {
  /**
   * @param status HTTP status
   * @param message text of `{"error": …}`
   * @param contentType Ollama names no charset when the error comes out of a streaming handler
   */
  constructor(readonly status: number, message: string, readonly contentType = 'application/json; charset=utf-8') {
    super(message);
  }
}

/** The two spaces are Ollama's. */
export function busy(): ApiError {
  return new ApiError(503, 'server busy, please try again.  maximum pending requests exceeded');
}

export function modelNotFound(name: string): ApiError {
  return new ApiError(404, `model '${name}' not found`);
}

/** Part of Ollama's API that this engine has not got: said plainly instead of pretended. */
export function notHere(what: string): ApiError {
  return new ApiError(501, `the built-in engine does not have ${what}`);
}

/** Ollama's text where embeddings are asked of a model that is not here. */
export function notPulled(name: string): ApiError {
  return new ApiError(404, `model ${JSON.stringify(name)} not found, try pulling it first`);
}

/** The request's client is gone: nothing is sent, everything it held is freed. */
export class Gone extends Error {
  constructor() {
    super('the client has gone');
  }
}
