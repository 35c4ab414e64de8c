/** One failure on its way to a client: the status and the text that Ollama would send. */

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

export function modelNotFound(name: string): ApiError {
  return new ApiError(404, `model '${name}' not found`);
}

/** Ollama's text where embeddings are asked of a model that is not here. */
export function notPulled(name: string): ApiError {
  return new ApiError(404, `model ${JSON.stringify(name)} not found, try pulling it first`);
}
