/** Errors as OpenAI's clients know them: their envelope, and the headers by which the SDKs decide whether to try again. */
import type { Response } from 'express';
import { ApiError } from '#ollama-wire';
import { MeshError } from '#contracts';
import { engineWords, openaiTypeOf, retryAfterMs, statusOf } from '../../error-table.js';

export function isOpenAiPath(path: string): boolean {
  return /^\/v1(\/|$)/i.test(path); // Express takes paths in any case.
}

export function sendOpenAiError(response: Response, thrown: ApiError | MeshError): void {
  const error = thrown instanceof MeshError ? thrown : new MeshError('invalid_request', thrown.message);
  const waitMs = retryAfterMs(error);
  response.setHeader('x-should-retry', String(waitMs !== undefined));
  if (waitMs !== undefined) {
    response.setHeader('retry-after-ms', Math.ceil(waitMs));
    response.setHeader('retry-after', Math.ceil(waitMs / 1_000));
  }
  response.status(thrown instanceof ApiError ? thrown.status : (engineWords(error)?.status ?? statusOf(error.code))).json(openAiErrorBody(error));
}

/** `{error: {message, type, param, code}}`; in a stream too. */
export function openAiErrorBody(error: MeshError): object {
  const [issue] = issuesOf(error);
  return {
    error: {
      message: engineWords(error)?.message ?? error.message,
      type: openaiTypeOf(error.code),
      param: issue?.field || (error.code === 'model_not_found' ? 'model' : null),
      code: error.code,
    },
  };
}

function issuesOf({ details }: MeshError): readonly { readonly field?: string }[] {
  const issues = details?.['issues'];
  return Array.isArray(issues) ? (issues as { field?: string }[]) : [];
}
