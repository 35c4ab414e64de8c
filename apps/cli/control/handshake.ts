/** How a command and the mesh of its run file know each other: each shows that it knows the file's secret, and neither sends it. Pure. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a command wants: `lease` keeps the mesh while the connection is open, `hold` keeps it until `stop`, `look` only asks who is there. */
const WISHES = ['lease', 'hold', 'stop', 'look'] as const;
export type Wish = (typeof WISHES)[number];

/** The mesh's last line: it does what the command wants. */
export const OK = '{"ok":true}';

/** A line of either side is never longer, in bytes. */
export const MAX_LINE_BYTES = 1_024;
const MIN_NONCE_CHARACTERS = 16;
const MAX_CHARACTERS = 100;

interface Said {
  readonly nonce: string;
  readonly proof: string;
  readonly wish: Wish;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_CHARACTERS;
/** By hand, since a dev server waits for this: a schema library takes longer to load than all else. */
const IS: { readonly [Field in keyof Said]: (value: unknown) => boolean } = {
  nonce: (value) => isText(value) && value.length >= MIN_NONCE_CHARACTERS,
  proof: isText,
  wish: (value) => WISHES.includes(value as Wish),
};

/** What a line says. @throws SyntaxError when it does not say all of `fields` */
export function readLine<Field extends keyof Said>(line: string, ...fields: Field[]): Pick<Said, Field> {
  const said = Object(JSON.parse(line)) as Said;
  for (const field of fields) if (!IS[field](said[field])) throw new SyntaxError(`This line says no ${field}.`);
  return said;
}

export function newNonce(): string {
  return randomBytes(18).toString('base64url');
}

/** @param side who shows it: a proof of one side is none of the other's */
export function proofOf(secret: string, side: 'mesh' | 'command', nonce: string): string {
  return createHmac('sha256', secret).update(`${side} ${nonce}`).digest('base64url');
}

export function proves(proof: string, secret: string, side: 'mesh' | 'command', nonce: string): boolean {
  const [given, wanted] = [Buffer.from(proof), Buffer.from(proofOf(secret, side, nonce))];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
