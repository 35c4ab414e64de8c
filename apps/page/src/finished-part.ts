/** Which of a growing markdown text's blocks no further text can change. Pure; markdown.ts draws accordingly. */
import type { Token } from 'marked';

type Block = Pick<Token, 'type' | 'raw'>;

/**
 * More text can change the last block, and, until enough of it is there, whether it is one of its own: "text\n#" has a heading,
 * "text\n#tag" has not. What follows a block without a blank line may also be judged by that block. So everything is finished that is
 * before the last block which follows a blank line and whose first line is complete.
 * @returns how many characters, and how many blocks (spaces are none), are finished
 */
export function finishedPart(tokens: readonly Block[]): { length: number; blocks: number } {
  let rest = '';
  let from = tokens.length - 1;
  for (; from > 0; from--) {
    const { type, raw } = tokens[from] as Block;
    rest = raw + rest;
    if (type !== 'space' && rest.includes('\n') && endsBlank(tokens[from - 1] as Block)) break;
  }
  const finished = tokens.slice(0, Math.max(from, 0));
  return { length: finished.reduce((sum, { raw }) => sum + raw.length, 0), blocks: finished.filter(({ type }) => type !== 'space').length };
}

function endsBlank({ type, raw }: Block): boolean {
  return type === 'space' || /\n[ \t]*\n$/.test(raw);
}
