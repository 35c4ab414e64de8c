/** What the gateway says when something fails, as an Error. */
import type { ErrorBody } from '#contracts';

export class Refusal extends Error {
  constructor(readonly body: ErrorBody) {
    super(body.message);
  }
}

export function bodyOf(thrown: unknown): ErrorBody {
  return thrown instanceof Refusal ? thrown.body : { code: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown), retryable: false };
}
