/** What each path of every door demands; spelled otherwise it demands no less. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from '../../../test/support/program.js';
import { demandOf, demandOfEvent } from './demands.js';

describe('demands', () => {
  it.each([
    ['GET', '/', 'open'], ['HEAD', '/', 'open'], ['POST', '/', 'operator'], ['GET', '/page/page.js', 'open'], ['GET', '/watch/AAAAAAAAAAAAAAAAAAAAAA', 'open'], ['POST', '/watch/AAAAAAAAAAAAAAAAAAAAAA', 'operator'], ['GET', '/docs', 'open'], ['GET', '/docs-json', 'open'],
    ['GET', '/docsecret', 'watch'], ['GET', '/health', 'open'], ['GET', '/ready', 'open'], ['GET', '/metrics', 'watch'], ['GET', '/api/version', 'open'],
    ['GET', '/streams/x', 'token'], ['DELETE', '/streams/x', 'token'], ['POST', '/streams', 'chat'], ['POST', '/STREAMS/', 'chat'],
    ['POST', '/sessions', 'chat'], ['GET', '/sessions/x', 'token'], ['POST', '/sessions/x/messages', 'token'], ['PATCH', '/sessions/x', 'token'],
    ['GET', '/models', 'watch'], ['GET', '/models/show', 'watch'], ['POST', '/models/pull', 'operator'], ['DELETE', '/models', 'operator'], ['DELETE', '/MODELS/', 'operator'],
    ['GET', '/engine', 'watch'], ['GET', '/hardware', 'watch'], ['GET', '/events', 'watch'], ['GET', '/cache', 'watch'], ['DELETE', '/cache', 'operator'],
    ['GET', '/v1/models', 'watch'], ['GET', '/v1/models/guide', 'watch'], ['POST', '/v1/chat/completions', 'chat'], ['POST', '/V1/responses', 'chat'], ['GET', '/v1/responses/x', 'chat'],
    ['POST', '/api/chat', 'chat'], ['POST', '/api/generate', 'chat'], ['POST', '/api/embed', 'chat'], ['GET', '/api/tags', 'watch'], ['HEAD', '/api/tags', 'watch'], ['POST', '/api/show', 'watch'],
    ['POST', '/api/pull', 'operator'], ['DELETE', '/api/delete', 'operator'], ['POST', '/api/copy', 'operator'], ['POST', '/api/create', 'operator'], ['POST', '/api/push', 'operator'],
    ['POST', '/api/blobs/sha256:x', 'operator'], ['HEAD', '/api/blobs/sha256:x', 'operator'], ['POST', '/api/chat/x', 'operator'],
    ['POST', '/ai/chat', 'chat'], ['GET', '/ai/chat/x/stream', 'chat'], ['GET', '/nosuch', 'watch'], ['POST', '/nosuch', 'operator'], ['PUT', '/models', 'operator'],
    ['DELETE', '//models', 'operator'], ['DELETE', '/models/%2e%2e/streams/x', 'operator'], ['OPTIONS', '/streams', 'chat'],
  ])('%s %s: %s', (method, path, scope) => expect(demandOf(method, path).scope).toBe(scope));

  it.each([
    ['POST', '/streams', true], ['POST', '/sessions/x/messages', true], ['POST', '/v1/chat/completions', true], ['POST', '/api/embed', true], ['POST', '/ai/chat', true],
    ['GET', '/streams/x', false], ['POST', '/models/pull', false], ['GET', '/v1/models', false], ['POST', '/api/show', false],
  ])('%s %s makes a model work: %s', (method, path, expected) => expect(demandOf(method, path).inference === true).toBe(expected));

  it.each([['chat', 'chat', true], ['say', 'token', true], ['createSession', 'chat', false], ['join', 'token', false], ['leave', 'token', false], ['cancel', 'token', false], ['closeSession', 'token', false], ['nosuch', 'operator', false]])('event %s: %s', (event, scope, inference) => {
    expect({ scope: demandOfEvent(event).scope, inference: demandOfEvent(event).inference === true }).toEqual({ scope, inference });
  });

  it('events: every one that clients may send is known', () => {
    const [, map = ''] = /interface ClientToServerEvents \{([\s\S]*?)\n\}/.exec(readFileSync(`${ROOT}libs/contracts/socket-events.ts`, 'utf8')) ?? [];
    const events = [...map.matchAll(/^ {2}(\w+)\(/gm)].map(([, event = '']) => event);
    expect(events).toContain('joinSession');
    expect(events.filter((event) => demandOfEvent(event).scope === 'operator' && !/pull/i.test(event))).toEqual([]);
  });
});
