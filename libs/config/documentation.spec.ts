/** docs/configuration.md says every setting there is, with its default, and none that is not. */
import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { Config } from './schema.js';

const PAGE = new URL('../../docs/configuration.md', import.meta.url);

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly valueType?: Schema;
  readonly defaultValue?: unknown;
}
interface Schema {
  readonly def: Definition;
}

/** The settings below a schema, by their path, each with its default. */
function settingsIn({ def }: Schema, path: readonly string[] = [], byDefault?: unknown): [string, unknown][] {
  if (def.shape) return Object.entries(def.shape).flatMap(([name, schema]) => settingsIn(schema, [...path, name]));
  if (def.innerType) return settingsIn(def.innerType, path, def.type === 'default' ? def.defaultValue : byDefault);
  if (def.in) return settingsIn(def.in, path, byDefault);
  if (def.valueType?.def.shape) return settingsIn(def.valueType, [...path, '<name>']);
  return [[path.join('.'), byDefault]];
}

it('configuration.md: has every setting with its default, in the order of the schema, and what it does', async () => {
  const rows = [...(await readFile(PAGE, 'utf8')).matchAll(/^\| `([^`]+)` \| (?:`([^`]*)`)? \| (\S.*) \|$/gm)];
  const settings = settingsIn(Config as unknown as Schema).map(([path, value]) => [path, value === undefined ? undefined : typeof value === 'string' ? value : JSON.stringify(value)]);
  expect(settings.length).toBeGreaterThan(50);
  const inOrder = ['', 'engine', 'models', 'gateway', 'bus', 'metrics', 'background', 'log'];
  const section = (path: string) => (path.includes('.') ? path.slice(0, path.indexOf('.')) : '');
  const expected = inOrder.flatMap((name) => settings.filter(([path = '']) => section(path) === name));
  expect(expected).toHaveLength(settings.length);
  expect(rows.map(([, path, value]) => [path, value])).toEqual(expected);
});
