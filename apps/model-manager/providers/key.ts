/** A provider's key, read whenever it is needed: it is sent to that provider, and told to nobody else. */
import { readFile } from 'node:fs/promises';
import { type ProviderConfig, environment } from '#config';
import { MeshError } from '#contracts';

/** What an HTTP header can carry as a token. */
const KEY = /^[\x21-\x7e]{1,8192}$/;

/** @throws MeshError `provider_failed` that says which setting is to blame, and nothing of what it holds */
export type ReadKey = () => Promise<string | undefined>;

export function keyReader(provider: string, key: ProviderConfig['key']): ReadKey {
  const failed = (setting: string, what: string) =>
    new MeshError('provider_failed', `Provider "${provider}" was not asked: providers.${provider}.key.${setting} ${what}.`, { retryable: false, details: { provider, setting: `providers.${provider}.key.${setting}` } });
  return async () => {
    if (key?.env !== undefined) {
      const value = environment()[key.env]?.trim() ?? '';
      if (value === '') throw failed('env', `names ${key.env}, which is not set`);
      if (!KEY.test(value)) throw failed('env', `names ${key.env}, which does not hold a key: it must be one word`);
      return value;
    }
    if (key?.file === undefined) return undefined;
    const value = await readFile(key.file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
      throw failed('file', `names ${key.file}, which can't be read (${thrown.code ?? 'error'})`);
    });
    if (!KEY.test(value.trim())) throw failed('file', `names ${key.file}, which does not hold a key: it must be one word`);
    return value.trim();
  };
}
