/**
 * GBNF for `format`: any JSON object, or what a JSON Schema describes. Follows llama.cpp's own conversion (json-schema-to-grammar):
 * properties in the schema's order, the required ones always, the others where the model wants them. Pure.
 */

/** A schema that can't be turned into a grammar; the message says which part. */
export class GrammarError extends Error {}

type Schema = Readonly<Record<string, unknown>>;

const SPACE = String.raw`| " " | "\n"{1,2} [ \t]{0,20}`;
const CHAR = String.raw`[^"\\\x7F\x00-\x1F] | [\\] (["\\bfnrt] | "u" [0-9a-fA-F]{4})`;
const PRIMITIVES: Readonly<Record<string, string>> = {
  boolean: '("true" | "false") space',
  null: '"null" space',
  string: String.raw`"\"" char* "\"" space`,
  integer: '("-"? integral-part) space',
  number: '("-"? integral-part) ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,15})? space',
  'integral-part': '[0] | [1-9] [0-9]{0,15}',
  value: 'object | array | string | number | boolean | null',
  object: '"{" space ( string ":" space value ("," space string ":" space value)* )? "}" space',
  array: '"[" space ( value ("," space value)* )? "]" space',
  char: CHAR,
  space: SPACE,
};
/** Deeper schemas are refused before the stack is used up. */
const MAX_DEPTH = 64;
/** Rules of one grammar at most: a schema that needs more takes seconds to parse. */
const MAX_RULES = 4_096;

/** `format: "json"`: one object. */
export function anyObject(): string {
  return text(new Map([['root', 'object']]));
}

/** @throws GrammarError */
export function schemaGrammar(schema: Schema): string {
  const writer = new Writer(schema);
  return text(writer.rules());
}

function text(rules: ReadonlyMap<string, string>): string {
  return [...rules, ...Object.entries(PRIMITIVES)].map(([name, body]) => `${name} ::= ${body}`).join('\n');
}

class Writer {
  readonly #rules = new Map<string, string>();
  /** Rules of `$ref`s by reference, so that a schema may refer to itself. */
  readonly #refs = new Map<string, string>();

  constructor(readonly root: Schema) {}

  rules(): ReadonlyMap<string, string> {
    const body = this.#of(this.root, 0);
    return new Map([['root', body], ...this.#rules]);
  }

  /** An expression for the schema. */
  #of(schema: unknown, depth: number): string {
    if (depth > MAX_DEPTH) throw new GrammarError('it is nested too deep');
    if (schema === true || schema === undefined) return 'value';
    if (!isSchema(schema)) throw new GrammarError('a schema is an object');
    if (typeof schema['$ref'] === 'string') return this.#reference(schema['$ref'], depth);
    if ('const' in schema) return literal(schema['const']);
    if (Array.isArray(schema['enum'])) return `(${schema['enum'].map(literal).join(' | ')})`;
    const variants = schema['anyOf'] ?? schema['oneOf'];
    if (Array.isArray(variants)) return this.#rule(variants.map((variant) => this.#of(variant, depth + 1)).join(' | '));
    if (Array.isArray(schema['allOf'])) return this.#of(merged(schema['allOf'].map((part) => this.#resolved(part)), schema), depth + 1);
    const type = schema['type'];
    if (Array.isArray(type)) return this.#rule(type.map((one) => this.#of({ ...schema, type: one as unknown }, depth + 1)).join(' | '));
    if (type === 'object' || (type === undefined && ('properties' in schema || isSchema(schema['additionalProperties'])))) return this.#object(schema, depth);
    if (type === 'array' || (type === undefined && ('items' in schema || 'prefixItems' in schema))) return this.#array(schema, depth);
    if (type === 'string') return this.#string(schema);
    if (type === undefined) return 'value';
    if (typeof type === 'string' && ['boolean', 'null', 'integer', 'number'].includes(type)) return type;
    throw new GrammarError(`there is no type ${JSON.stringify(type)}`);
  }

  #object(schema: Schema, depth: number): string {
    const properties = isSchema(schema['properties']) ? Object.entries(schema['properties']) : [];
    const needed = new Set(Array.isArray(schema['required']) ? schema['required'] : []);
    const pair = ([name, value]: [string, unknown]): string => this.#rule(`${quote(JSON.stringify(name))} space ":" space ${this.#of(value, depth + 1)}`);
    const required = properties.filter(([name]) => needed.has(name)).map(pair);
    const optional = properties.filter(([name]) => !needed.has(name)).map(pair);
    const extra = schema['additionalProperties'];
    if (isSchema(extra) || extra === true || (properties.length === 0 && extra !== false)) {
      optional.push(`${this.#rule(`string ":" space ${this.#of(extra, depth + 1)}`)}*`);
    }
    const members = required.join(' "," space ');
    const tail = this.#anyOf(optional);
    if (tail === '') return this.#rule(`"{" space ${members} "}" space`);
    return this.#rule(required.length === 0 ? `"{" space (${tail})? "}" space` : `"{" space ${members} ("," space (${tail}))? "}" space`);
  }

  /** One or more of the optional members, in their order. A member that ends with `*` may come several times. */
  #anyOf(members: readonly string[]): string {
    const rest: string[] = [];
    for (let index = members.length - 1; index >= 0; index -= 1) {
      const member = members[index] ?? '';
      const one = member.replace(/\*$/, '');
      const more = member.endsWith('*') ? ` ("," space ${one})*` : '';
      const next = rest[0] === undefined ? '' : ` ("," space ${this.#rule(rest.join(' | '))})?`;
      rest.unshift(`${one}${more}${next}`);
    }
    return rest.join(' | ');
  }

  #array(schema: Schema, depth: number): string {
    const fixed = schema['prefixItems'];
    if (Array.isArray(fixed)) return this.#rule(`"[" space ${fixed.map((item) => this.#of(item, depth + 1)).join(' "," space ')} "]" space`);
    const item = this.#of(schema['items'], depth + 1);
    const [least, most] = [bound(schema['minItems']) ?? 0, bound(schema['maxItems'])];
    if (most === 0) return '"[" space "]" space';
    const more = `("," space ${item})${repeat(Math.max(least - 1, 0), most === undefined ? undefined : most - 1)}`;
    return this.#rule(least > 0 ? `"[" space ${item} ${more} "]" space` : `"[" space (${item} ${more})? "]" space`);
  }

  #string(schema: Schema): string {
    const [least, most] = [bound(schema['minLength']), bound(schema['maxLength'])];
    const format = formats[typeof schema['format'] === 'string' ? schema['format'] : ''];
    if (format !== undefined) return this.#rule(String.raw`"\"" ${format} "\"" space`);
    if (least === undefined && most === undefined) return 'string';
    return this.#rule(String.raw`"\"" char${repeat(least ?? 0, most)} "\"" space`);
  }

  #reference(reference: string, depth: number): string {
    const known = this.#refs.get(reference);
    if (known !== undefined) return known;
    const name = `ref-${this.#refs.size}`;
    this.#refs.set(reference, name);
    this.#add(name, this.#of(this.#target(reference), depth + 1));
    return name;
  }

  #target(reference: string): unknown {
    if (!reference.startsWith('#')) throw new GrammarError(`the reference ${reference} leaves the schema`);
    let at: unknown = this.root;
    for (const part of reference.slice(1).split('/').filter((item) => item !== '')) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      at = typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : undefined;
    }
    if (at === undefined) throw new GrammarError(`nothing is at ${reference}`);
    return at;
  }

  #resolved(schema: unknown): Schema {
    const target = isSchema(schema) && typeof schema['$ref'] === 'string' ? this.#target(schema['$ref']) : schema;
    return isSchema(target) ? target : {};
  }

  #rule(body: string): string {
    const name = `r${this.#rules.size}`;
    this.#add(name, body);
    return name;
  }

  #add(name: string, body: string): void {
    if (this.#rules.size >= MAX_RULES) throw new GrammarError('it is too large');
    this.#rules.set(name, body);
  }
}

/** Text formats that a grammar can check; the others are any string. */
const formats: Readonly<Record<string, string>> = {
  date: '[0-9]{4} "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )',
  time: '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9]{3} )? ( "Z" | ( "+" | "-" ) ( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] )',
  uuid: '[0-9a-fA-F]{8} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{12}',
};

/** The parts of an allOf as one schema: their properties and what they require, together. */
function merged(parts: readonly Schema[], whole: Schema): Schema {
  const all = [...parts, { properties: whole['properties'], required: whole['required'] }];
  return {
    ...Object.assign({}, ...parts) as Schema,
    properties: Object.assign({}, ...all.map((part) => (isSchema(part['properties']) ? part['properties'] : {}))) as Schema,
    required: all.flatMap((part) => (Array.isArray(part['required']) ? part['required'] as unknown[] : [])),
  };
}

function repeat(least: number, most: number | undefined): string {
  return `{${least},${most ?? ''}}`;
}

function bound(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
}

function literal(value: unknown): string {
  return `${quote(JSON.stringify(value))} space`;
}

function quote(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', String.raw`\"`).replaceAll('\n', String.raw`\n`)}"`;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
