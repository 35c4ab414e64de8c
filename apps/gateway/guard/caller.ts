/** Who asks, as admission.ts made out: doors read it for limits, cache and logs, and never look at keys themselves. */
import type { IncomingMessage } from 'node:http';
import type { KeyScope } from '#contracts';

export interface Caller {
  /** Stands for whoever it is: `key:<id>`, `address:<address>`, or `local` for this machine's own user. */
  readonly id: string;
  /** The key that was shown, if any; `operator` for the operator's token. */
  readonly keyId?: string;
  /** Something was shown that is no key here: the token of a stream or session, or a wrong key. */
  readonly hasUnknownKey?: true;
  readonly address: string;
  /** What may be done without further proof; the owner token of a stream and the tokens of a session are proof of their own. */
  readonly scopes: ReadonlySet<KeyScope>;
  /** Whether rates and numbers are limited. */
  readonly isLimited: boolean;
}

const callers = new WeakMap<IncomingMessage, Caller>();

export function rememberCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller);
}

/** Undefined for a request that was refused before it was known whose it is. */
export function knownCallerOf(request: IncomingMessage): Caller | undefined {
  return callers.get(request);
}

/** @throws TypeError for a request that did not come through the guard, which none does */
export function callerOf(request: IncomingMessage): Caller {
  const caller = callers.get(request);
  if (!caller) throw new TypeError('The request did not come through the guard.');
  return caller;
}

/** True for a caller who showed an operator's key: being allowed to manage because nobody needs a key is not enough to end what others began. */
export function isOperator({ keyId, scopes }: Caller): boolean {
  return keyId !== undefined && scopes.has('operator');
}
