/** Colours for a stream that shows them, and none for others. */
import { styleText } from 'node:util';
import { environment } from '#config';

export type Style = Parameters<typeof styleText>[0];
export type Painter = (style: Style, text: string) => string;

export const plain: Painter = (_, text) => text;

/** A terminal's painter, unless NO_COLOR is set. */
export function painterOf({ isTTY }: { readonly isTTY?: boolean }): Painter {
  // Whether the stream shows colours has been decided; the library would look at standard output.
  return isTTY === true && !environment()['NO_COLOR'] ? (style, text) => styleText(style, text, { validateStream: false }) : plain;
}
