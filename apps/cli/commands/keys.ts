/** `ollamesh keys`: makes, lists and revokes the API keys of this user's mesh. A gateway that runs hears of it within a second. */
import { Command, Option } from 'commander';
import { KeyName, KeyScope, MeshError, type StoredKey, parseOrThrow } from '#contracts';
import { changeKeys, keyFileIn, mintKey, readKeys, stateOf } from '#keys';
import { z } from 'zod';
import { loadSettings } from '../settings.js';

interface KeysOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export function keysCommand(): Command {
  return new Command('keys')
    .description('the API keys of your mesh: who may use it from where it has to be proved')
    .addCommand(
      withKeysOptions(new Command('create').description('make a key; it is shown once'))
        .argument('<name>', 'whose it is, such as "laptop of Ann"')
        .addOption(new Option('-s, --scope <scope>', 'what it may do; each includes the ones before').choices(KeyScope.options).default('chat'))
        .option('-e, --expires <when>', 'such as 12h, 30d, or 2027-01-31 (default: never)')
        .option('--print', 'write nothing: print what to put in gateway.keys of another mesh\'s configuration')
        .action(create),
    )
    .addCommand(withKeysOptions(new Command('list').description('list the keys, without themselves')).action(list))
    .addCommand(
      withKeysOptions(new Command('revoke').description('end a key: whoever uses it is cut off'))
        .argument('<key>', 'its id, or its name where that is the only one')
        .option('--forget', 'remove it from the file as well; who shows it is told that it is unknown')
        .action(revoke),
    );
}

function withKeysOptions(command: Command): Command {
  return command.option('-c, --config <file>', 'config file').option('--json', 'as JSON');
}

async function create(named: string, { scope, expires, print, ...options }: KeysOptions & { scope: KeyScope; expires?: string; print?: boolean }): Promise<void> {
  const { name } = parseOrThrow(z.object({ name: KeyName }), { name: named }, 'key');
  const expiresAt = expires === undefined ? undefined : expiryOf(expires, Date.now());
  const { id, text, hash } = mintKey();
  const key = { name, hash, scopes: [scope], ...(expiresAt !== undefined && { expiresAt }) };
  if (!print) await changeKeys(await fileOf(options), (keys) => [...keys, { id, ...key, createdAt: new Date().toISOString() }]);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ ...(!print && { id }), key: text, ...(print ? { configure: key } : key) }, null, 2)}\n`);
    return;
  }
  const until = expiresAt === undefined ? '' : ` until ${expiresAt}`;
  process.stderr.write(`  "${name}" may ${MAY[scope]}${until}. The key is shown once:\n\n`);
  process.stdout.write(`${text}\n`);
  if (print) process.stderr.write(`\n  In the configuration, which holds its hash only:  gateway: { keys: [${JSON.stringify(key)}] }\n  or  OLLAMESH_GATEWAY_KEYS='${JSON.stringify([key])}'\n`);
  else process.stderr.write(`\n  Send it as "Authorization: Bearer …" (OPENAI_API_KEY, OLLAMESH_API_KEY). To end it: ollamesh keys revoke ${id}\n`);
}

const MAY: Record<KeyScope, string> = {
  watch: 'watch streams and see models, engine and hardware',
  chat: 'chat and watch',
  operator: 'do everything: chat, pull and delete models, cancel streams of others',
};

async function list(options: KeysOptions): Promise<void> {
  const keys = await readKeys(await fileOf(options));
  const now = Date.now();
  if (options.json) {
    process.stdout.write(`${JSON.stringify(keys.map(({ hash: _hash, ...key }) => ({ ...key, state: stateOf(key, now) })), null, 2)}\n`);
    return;
  }
  if (keys.length === 0) {
    process.stdout.write('There are no API keys: this machine\'s own user needs none. To make one: ollamesh keys create <name>\n');
    return;
  }
  const rows = keys.map((key) => [key.id, key.name, key.scopes.join(','), stateOf(key, now), key.createdAt.slice(0, 10), key.expiresAt?.slice(0, 10) ?? 'never']);
  const lines = [['ID', 'NAME', 'SCOPE', 'STATE', 'CREATED', 'EXPIRES'], ...rows];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  process.stdout.write(lines.map((line) => `${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()}\n`).join(''));
}

async function revoke(which: string, { forget, ...options }: KeysOptions & { forget?: boolean }): Promise<void> {
  let revoked: StoredKey | undefined;
  await changeKeys(await fileOf(options), (keys) => {
    const key = keyNamed(keys, which, forget === true);
    revoked = { ...key, revokedAt: key.revokedAt ?? new Date().toISOString() };
    return forget ? keys.filter(({ id }) => id !== key.id) : keys.map((other) => (other.id === key.id ? (revoked ?? other) : other));
  });
  if (!revoked) return;
  process.stdout.write(options.json ? `${JSON.stringify({ id: revoked.id, name: revoked.name })}\n` : `  "${revoked.name}" (${revoked.id}) is ${forget ? 'forgotten' : 'revoked'}.\n`);
}

async function fileOf({ config }: KeysOptions): Promise<string> {
  return keyFileIn((await loadSettings({ ...(config !== undefined && { config }) })).config.dataDir);
}

/** @throws MeshError `not_found`, `invalid_request` where a name is not enough */
function keyNamed(keys: readonly StoredKey[], which: string, alsoRevoked: boolean): StoredKey {
  const byId = keys.find(({ id }) => id === which);
  if (byId) return byId;
  const [key, ...others] = keys.filter(({ name, revokedAt }) => name === which && (alsoRevoked || revokedAt === undefined));
  if (!key) throw new MeshError('not_found', `No key has the id or name "${which}". To see them: ollamesh keys list`);
  if (others.length > 0) throw new MeshError('invalid_request', `${others.length + 1} keys are named "${which}": name one by its id (${[key, ...others].map(({ id }) => id).join(', ')}).`);
  return key;
}

const UNITS_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** When a key made at `now` ends, ISO 8601. @throws MeshError `invalid_request` for what says no moment to come */
export function expiryOf(text: string, now: number): string {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const at = count === undefined ? (/^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN) : now + Number(count) * (UNITS_MS[unit] ?? NaN);
  if (!(at > now)) throw new MeshError('invalid_request', `--expires ${text}: say a time to come, such as 12h, 30d, or 2027-01-31.`);
  return new Date(at).toISOString();
}
