/** Whose address counts: tables of connections and of what proxies say, lies included. */
import { describe, expect, it } from '@jest/globals';
import { addressFinder, callerAddress } from './address.js';

describe('address', () => {
  it.each([
    ['nobody is trusted: the header is not looked at', [], '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['the proxy is trusted: what it saw', ['10.0.0.1'], '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['the proxy is trusted, what the client claimed before it is not', ['10.0.0.0/8'], '10.0.0.1', '127.0.0.1, 198.51.100.1', '198.51.100.1'],
    ['two proxies', ['10.0.0.0/8'], '10.0.0.1', '1.1.1.1, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
    ['somebody else sends the header', ['10.0.0.1'], '203.0.113.9', '127.0.0.1', '203.0.113.9'],
    ['the proxy sends none', ['10.0.0.1'], '10.0.0.1', undefined, '10.0.0.1'],
    ['nonsense in it', ['10.0.0.1'], '10.0.0.1', '198.51.100.1, nonsense', '10.0.0.1'],
    ['nothing but proxies', ['10.0.0.0/8'], '10.0.0.1', '10.0.0.2', '10.0.0.2'],
    ['IPv4 in IPv6', ['10.0.0.1'], '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['IPv6', ['fd00::/8'], 'fd00::1', '2001:db8::7', '2001:db8::7'],
    ['several headers', ['10.0.0.1'], '10.0.0.1', ['127.0.0.1', '198.51.100.1'], '198.51.100.1'],
  ] as const)('%s', (_, proxies, remote, forwardedFor, expected) => {
    expect(addressFinder(proxies)({ remote, forwardedFor: forwardedFor as string | string[] | undefined })).toBe(expected);
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:DB8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s counts as %s', (address, expected) => expect(callerAddress(address)).toBe(expected));
});
