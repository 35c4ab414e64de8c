/**
 * The one authorizer: who asks, whether they may, and whether not too often. The guards of HTTP and Socket.IO ask it before
 * any door sees a request; key-ring.ts knows the keys, demands.ts what each request takes.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { KeyScope, MeshError } from '#contracts';
import { KEY_PREFIX, scopesOf } from '#keys';
import { CONFIG } from '#runtime';
import { type Came, addressFinder, callerAddress, isLoopback } from './address.js';
import type { Caller } from './caller.js';
import type { Demand } from './demands.js';
import { KeyRing } from './key-ring.js';
import { isLoopbackHost } from './open-network.js';
import { type Allowance, RateLimit } from './rate-limits.js';

/** Wrong keys that one address may show in a minute: enough for a mistake, too few to keep this process busy. */
const WRONG_KEYS_PER_MINUTE = 120;
const UNKNOWN_KEY = 'This API key is not one of this gateway.';
const NOTHING: ReadonlySet<KeyScope> = new Set();
const EVERYTHING: ReadonlySet<KeyScope> = new Set(KeyScope.options);

/** What a request shows of itself. */
export interface Shown {
  readonly came: Came;
  /** Texts that may be keys, or tokens of a stream or session. */
  readonly credentials: readonly string[];
}

@Injectable()
export class Admission {
  readonly #ring: KeyRing;
  readonly #addressOf: (came: Came) => string;
  /** Whether a caller without a key may do anything at all even where there are no keys. */
  readonly #isOpenNetwork: boolean;
  readonly #limitsLoopback: boolean;
  readonly #requests: RateLimit;
  readonly #inferences: RateLimit;
  readonly #wrongKeys = new RateLimit({ name: 'wrong keys', setting: 'fixed', perMinute: WRONG_KEYS_PER_MINUTE });

  constructor(ring: KeyRing, @Inject(CONFIG) { gateway: { host, trustedNetwork, trustedProxies, limits } }: LoadedConfig) {
    this.#ring = ring;
    this.#addressOf = addressFinder(trustedProxies);
    this.#isOpenNetwork = trustedNetwork || isLoopbackHost(host);
    this.#limitsLoopback = limits.limitLoopback;
    this.#requests = new RateLimit({ name: 'requests', setting: 'gateway.limits.requestsPerMinute', perMinute: limits.requestsPerMinute });
    this.#inferences = new RateLimit({ name: 'inferences', setting: 'gateway.limits.inferencesPerMinute', perMinute: limits.inferencesPerMinute });
  }

  addressOf(came: Came): string {
    return this.#addressOf(came);
  }

  /**
   * Makes out who asks.
   * @throws MeshError `unauthorized` for a key that is expired, revoked or unknown, `too_many_requests` where such keys keep coming
   */
  identify({ came, credentials }: Shown): Caller {
    const address = this.#addressOf(came);
    for (const text of credentials) {
      const found = this.#ring.find(text);
      if (found?.state === 'valid') {
        const { id, scopes } = found.key;
        return { id: `key:${id}`, keyId: id, address, scopes: scopesOf(scopes), isLimited: id !== 'operator' };
      }
      if (found) throw this.#wrongKey(address, `This API key ("${found.key.name}") ${found.state === 'expired' ? `has expired (${found.key.expiresAt})` : 'has been revoked'}.`);
      if (text.startsWith(KEY_PREFIX) && this.#needsKey) throw this.#wrongKey(address, UNKNOWN_KEY);
    }
    const isLocal = isLoopback(address) && !this.#needsKey;
    return {
      id: isLocal ? 'local' : `address:${callerAddress(address)}`,
      address,
      scopes: this.#needsKey ? NOTHING : EVERYTHING,
      isLimited: !isLocal || this.#limitsLoopback,
      ...(credentials.length > 0 && { hasUnknownKey: true }),
    };
  }

  /**
   * Lets `caller` do what demands `demand`, and counts it.
   * @returns what is left of the limits that it counted for
   * @throws MeshError `too_many_requests`, `unauthorized` without a key, `forbidden` with one that is not enough
   */
  admit(caller: Caller, { scope, inference }: Demand): Allowance[] {
    const allowances = caller.isLimited ? [this.#requests.take(caller.id)] : [];
    if (scope !== 'open' && scope !== 'token' && !caller.scopes.has(scope)) {
      if (caller.keyId !== undefined) throw scopeNeeded(scope);
      throw caller.hasUnknownKey ? this.#wrongKey(caller.address, UNKNOWN_KEY) : keyNeeded(scope);
    }
    if (inference && caller.isLimited) allowances.push(this.#inferences.take(caller.id));
    return allowances;
  }

  /** True for an operator's key or token. */
  isOperatorKey(text: string): boolean {
    const found = this.#ring.find(text);
    return found?.state === 'valid' && found.key.scopes.includes('operator');
  }

  /** Says why `caller`, who was let in before, is no longer; undefined while nothing has changed. */
  endOf({ keyId }: Caller): MeshError | undefined {
    const state = keyId === undefined ? 'valid' : this.#ring.stateOf(keyId);
    return state === 'valid' ? undefined : new MeshError('unauthorized', `The API key of this connection ${state === 'expired' ? 'has expired' : 'has been revoked'}.`);
  }

  get #needsKey(): boolean {
    return this.#ring.hasKeys || !this.#isOpenNetwork;
  }

  #wrongKey(address: string, reason: string): MeshError {
    this.#wrongKeys.take(`address:${callerAddress(address)}`);
    return new MeshError('unauthorized', `${reason} Ask whoever runs it for one: ollamesh keys create <name>`);
  }
}

function keyNeeded(scope: KeyScope): MeshError {
  return new MeshError('unauthorized', `This takes an API key of scope "${scope}": send "Authorization: Bearer <key>". Keys are made with: ollamesh keys create <name> --scope ${scope}`, {
    details: { scope },
  });
}

function scopeNeeded(scope: KeyScope): MeshError {
  return new MeshError('forbidden', `Your API key lacks the scope "${scope}", which this takes.`, { details: { scope } });
}
