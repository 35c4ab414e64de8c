/** CONNECT's fields and the token. */
import { describe, expect, it } from '@jest/globals';
import { CONNECT_DEFAULTS, createTokenCheck, readConnect } from './connect-options.js';

describe('connect', () => {
  it('fields: those given replace, those left out stay', () => {
    expect(readConnect('{"verbose":false,"name":"x","unknown":1}', CONNECT_DEFAULTS)).toEqual({ ...CONNECT_DEFAULTS, verbose: false, name: 'x' });
    expect(readConnect('{}', { ...CONNECT_DEFAULTS, headers: true, token: 't' })).toEqual({ ...CONNECT_DEFAULTS, headers: true, token: 't' });
  });

  it('fields: text beyond ASCII is read as UTF-8', () => {
    expect(readConnect(Buffer.from('{"auth_token":"tökén"}').toString('latin1'), CONNECT_DEFAULTS)).toMatchObject({ token: 'tökén' });
  });

  it.each([
    ['', 'unreadable'], ['{', 'unreadable'], ['[]', 'unreadable'], ['null', 'unreadable'], ['"x"', 'unreadable'],
    ['{"verbose":"yes"}', 'unreadable'], ['{"auth_token":1}', 'unreadable'], ['{"__proto__":{"verbose":1}}', undefined],
    ['{"protocol":2}', 'protocol'], ['{"no_responders":true}', 'no-responders-without-headers'],
  ])('refusal: %j is %s', (json, refusal) => {
    expect(readConnect(json, CONNECT_DEFAULTS)).toEqual(refusal ?? CONNECT_DEFAULTS);
  });

  it('token: only the very same text passes', () => {
    const check = createTokenCheck('secret');
    expect(['secret', 'secre', 'secret ', 'Secret', '', undefined].map(check)).toEqual([true, false, false, false, false, false]);
    expect([createTokenCheck('')(''), createTokenCheck('')(undefined)]).toEqual([true, false]);
  });
});
