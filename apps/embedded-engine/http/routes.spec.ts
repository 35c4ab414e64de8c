/** Routing answers what Ollama's router answers: Allow lists, redirects of trailing slashes, 404 for the rest. */
import { describe, expect, it } from '@jest/globals';
import { Routes } from './routes.js';

const handler = (): void => undefined;
const routes = new Routes({ '/': { GET: handler }, '/api/tags': { HEAD: handler, GET: handler }, '/api/blobs/*': { POST: handler } });

describe('routes', () => {
  it.each([
    ['GET', '/', 'found'], ['GET', '/api/tags', 'found'], ['POST', '/api/blobs/sha256:ab', 'found'], ['POST', '/api/blobs/', 'unknown'],
    ['POST', '/api/blobs/a/b', 'unknown'], ['GET', '/api', 'unknown'], ['GET', '/constructor', 'unknown'], ['GET', '/__proto__', 'unknown'],
  ])('%s %s: %s', (method, path, kind) => {
    expect(routes.match(method, path).kind).toBe(kind);
  });

  it('wrong method: says which would do; a name of Object is no method', () => {
    expect(routes.match('POST', '/api/tags')).toEqual({ kind: 'wrong-method', allow: 'HEAD, GET' });
    expect(routes.match('toString', '/api/tags').kind).toBe('wrong-method');
  });

  it('trailing slash: to the path without it', () => {
    expect(routes.match('GET', '/api/tags/')).toEqual({ kind: 'redirect', location: '/api/tags' });
  });
});
