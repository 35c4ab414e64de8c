/** Where a service definition comes from: a path, `git:<url>#<ref>` or `github:<owner>/<repo>#<ref>`. Pure; checkout.ts fetches. */
import { MeshError } from '#contracts';

export type ServiceSource =
  | { readonly kind: 'path'; readonly path: string }
  | {
      readonly kind: 'git';
      readonly url: string;
      /** Branch, tag or commit; undefined for the repository's own choice. */
      readonly ref: string | undefined;
    };

/** What git could take for an option or a helper program is none of these. */
const GIT_URLS = [/^https:\/\/[^\s@/]+\/\S+$/, /^ssh:\/\/\S+$/, /^file:\/\/\/\S+$/, /^[\w.-]+@[\w.-]+:(?!-)[^\s:]+$/];
const REF = /^[A-Za-z0-9][\w./-]{0,199}$/;

/** @throws MeshError `invalid_request` with what is wrong */
export function parseSource(text: string): ServiceSource {
  const github = /^github:([^#]*)(?:#(.*))?$/.exec(text);
  if (github) {
    const repository = github[1] ?? '';
    if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/[A-Za-z0-9_][\w.-]{0,99}$/.test(repository)) throw refused(text, `"${repository}" is not <owner>/<repository>`);
    return { kind: 'git', url: `https://github.com/${repository.replace(/\.git$/, '')}.git`, ref: refOf(text, github[2]) };
  }
  const git = /^git:([^#]*)(?:#(.*))?$/.exec(text);
  if (git) {
    const url = git[1] ?? '';
    if (!GIT_URLS.some((pattern) => pattern.test(url))) throw refused(text, `"${url}" is not an https, ssh or file URL; credentials belong in git's own store`);
    return { kind: 'git', url, ref: refOf(text, git[2]) };
  }
  if (text === '' || text.includes('\0')) throw refused(text, 'it names no file');
  if (/^[a-z][a-z+.-]+:/i.test(text) && !/^[a-z]:[\\/]/i.test(text)) throw refused(text, 'it is neither a path nor git:<url>#<ref> nor github:<owner>/<repository>');
  return { kind: 'path', path: text };
}

function refOf(text: string, ref: string | undefined): string | undefined {
  if (ref === undefined) return undefined;
  if (!REF.test(ref) || ref.includes('..') || ref.includes('//') || ref.endsWith('.lock') || ref.endsWith('/')) throw refused(text, `"${ref}" is not a branch, tag or commit`);
  return ref;
}

function refused(text: string, reason: string): MeshError {
  return new MeshError('invalid_request', `The service source "${text}" can't be used: ${reason}.`, { details: { field: 'source' } });
}
