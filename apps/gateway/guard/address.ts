/** Whose address a request comes from: the connection's, or what a proxy that is trusted says about it. Pure. */
import { BlockList, isIP } from 'node:net';

/** What of a request tells. */
export interface Came {
  readonly remote: string | undefined;
  /** X-Forwarded-For: each proxy appends the address that it saw. */
  readonly forwardedFor: string | string[] | undefined;
}

/** How an address is found where these proxies are trusted. @param proxies addresses and ranges */
export function addressFinder(proxies: readonly string[]): (came: Came) => string {
  const trusted = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(bits), family);
  }
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return ({ remote, forwardedFor }) => {
    let address = plain(remote ?? '');
    const hops = proxies.length === 0 ? [] : [forwardedFor ?? ''].flat().join(',').split(',').map((hop) => plain(hop.trim()));
    // From the nearest on: what stands before the first that is not trusted could be anyone's invention.
    while (hops.length > 0 && isTrusted(address)) {
      const before = hops.pop() ?? '';
      if (isIP(before) === 0) break;
      address = before;
    }
    return address;
  };
}

/** IPv4 in IPv6's clothes as IPv4. */
function plain(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** What counts as one caller: an IPv4 address, or the /64 that one household or server has of IPv6. */
export function callerAddress(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = head.split(':').filter((group) => group !== '');
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter((group) => group !== '').length;
  const all = [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail ?? '').split(':').filter((group) => group !== '')];
  return `${all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
