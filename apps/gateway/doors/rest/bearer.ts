/** The token in an Authorization header. */

export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer (\S{1,256})$/i.exec(authorization ?? '')?.[1];
}
