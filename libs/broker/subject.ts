/** What a NATS subject may look like; which subscriptions a subject reaches is interest.ts's business. */

/** Tokens are separated by dots; `*` stands for one token, `>` (last token only) for one or more. */
export const SEPARATOR = '.';
export const ANY_TOKEN = '*';
export const ANY_REST = '>';

/** Whether one may subscribe to it: no empty token, `>` nowhere but last. Wildcard characters inside a longer token are literal. */
export function isValidSubject(subject: string): boolean {
  if (subject.includes('\f')) return false;
  const tokens = subject.split(SEPARATOR);
  return tokens.every((token, index) => token !== '' && (token !== ANY_REST || index === tokens.length - 1));
}

/** Whether one may publish to it: as for subscribing, and no token is a wildcard. */
export function isValidLiteral(subject: string): boolean {
  return isValidSubject(subject) && !hasWildcard(subject);
}

/** Whether it can match subjects other than itself. */
export function hasWildcard(subject: string): boolean {
  if (!subject.includes(ANY_TOKEN) && !subject.includes(ANY_REST)) return false;
  return subject.split(SEPARATOR).some((token) => token === ANY_TOKEN || token === ANY_REST);
}
