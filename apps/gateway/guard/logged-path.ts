/** A path as it may be logged: ids and tokens in it are rights of whoever has them. Pure. */

export function loggedPath(path: string): string {
  return path.replace(/[A-Za-z0-9_-]{16,}/g, ':id');
}
