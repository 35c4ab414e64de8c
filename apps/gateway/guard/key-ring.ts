/** The API keys that this gateway knows: those of the configuration and those in the mesh's key file, which is read again when it changes. */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { LoadedConfig } from '#config';
import { MeshError } from '#contracts';
import { type KeyFacts, type KeyState, hashOfKey, isReadableByOthers, keyFileIn, readKeys, recognise, stateOf, watchKeys } from '#keys';
import { CONFIG, Logger } from '#runtime';

export interface RecognisedKey {
  readonly key: KeyFacts;
  readonly state: KeyState;
}

/** The operator's token of the configuration, as a key: it has no place in the ring, which is about who else may come. */
const OPERATOR: Omit<KeyFacts, 'hash'> = { id: 'operator', name: "the operator's token", scopes: ['operator'] };

@Injectable()
export class KeyRing implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #file: string;
  readonly #configured: readonly KeyFacts[];
  readonly #operator: readonly KeyFacts[];
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  readonly #listeners = new Set<() => void>();
  #stored: readonly KeyFacts[] = [];
  #unwatch: () => void = () => undefined;

  constructor(@Inject(CONFIG) { gateway: { keys, operatorToken }, dataDir }: LoadedConfig, log: Logger) {
    this.#file = keyFileIn(dataDir);
    this.#configured = keys.map((key) => ({ ...key, id: key.hash.slice(0, 10) }));
    this.#operator = operatorToken === undefined ? [] : [{ ...OPERATOR, hash: hashOfKey(operatorToken) }];
    this.#log = log;
  }

  /** @throws MeshError `invalid_request` for a key file that makes no sense: a gateway without its keys would be open, or shut */
  async load(): Promise<void> {
    this.#stored = await readKeys(this.#file);
    if (await isReadableByOthers(this.#file)) this.#log.warn(`${this.#file} can be read by others on this machine; close it: chmod 600 ${this.#file}`);
  }

  onApplicationBootstrap(): void {
    this.#unwatch = watchKeys(this.#file, () => void this.#reload());
  }

  onApplicationShutdown(): void {
    this.#unwatch();
  }

  /** True once there is any key, valid or not: revoking the last one must not open the gateway. */
  get hasKeys(): boolean {
    return this.#configured.length + this.#stored.length > 0;
  }

  /** True when somebody can come in. */
  hasValidKey(now = Date.now()): boolean {
    return [...this.#configured, ...this.#stored].some((key) => stateOf(key, now) === 'valid');
  }

  /** The key that `text` is; undefined for a text that is none. */
  find(text: string, now = Date.now()): RecognisedKey | undefined {
    const key = recognise([...this.#operator, ...this.#configured, ...this.#stored], text);
    return key && { key, state: stateOf(key, now) };
  }

  /** How a key that was recognised before stands now; `revoked` for one that is no longer there. */
  stateOf(id: string, now = Date.now()): KeyState {
    const key = [...this.#operator, ...this.#configured, ...this.#stored].find((known) => known.id === id);
    return key ? stateOf(key, now) : 'revoked';
  }

  /** Calls `listener` after every change of the key file. */
  onChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async #reload(): Promise<void> {
    try {
      await this.load();
      this.#log.info(`The API keys in ${this.#file} have changed: there are ${this.#stored.length} now.`);
    } catch (thrown) {
      this.#log.warn(`${MeshError.from(thrown).message} Until then the keys that were there before count.`);
    }
    for (const listener of this.#listeners) listener();
  }
}
