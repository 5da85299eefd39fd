/**
 * What the process that holds the providers' keys may do: connect to the hosts and ports that the key store names, and nothing else. Pure: where names lead is
 * looked up before.
 */
import { isIP } from 'node:net'
import { type Endpoint, hostName } from '../../policies/network.js'
import type { Profile } from '../../policies/profile.js'
import { refusalOf } from '../../sandbox/egress/address.js'

/** The name of that process in its rule, as a policy would write it. */
export const holderTool = 'tool:egress'

/** Of a provider's address, as a rule compares it. */
export function placeOf(url: string): { host: string; port: number } {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  return { host: hostName(host) ?? host, port: Number(port) || (protocol === 'https:' ? 443 : 80) }
}

/** Always this machine, whatever anybody's DNS says of it. */
export const loopback = ['127.0.0.1', '::1'] as const

/**
 * @param known where names lead. A name that leads into a private network, or to this machine, was written into the store by a person, so it may; it is held to
 *   the addresses that it had then. Any other may lead to any address that is not private.
 */
export function holderProfile(urls: readonly string[], known: ReadonlyMap<string, readonly string[]>): Profile {
  const endpoints = urls.map(placeOf).map(({ host, port }) => ({
    ...{ host, ports: [port] },
    allowedIps: allowedOf(host, known.get(host) ?? []),
  }))
  return {
    ...{ read: [], write: [], hidden: [], ask: [], without: [] },
    network: [{ name: 'providers', endpoints, binaries: [{ path: holderTool }] }],
    // As long as a launch may last; it is replaced before.
    limits: {
      ...{ wallMs: 86_400_000, cpuSeconds: 86_400, memoryMb: 2048, memoryTotalMb: 2048, tmpMb: 1, fileMb: 1 },
      ...{ processes: 64, openFiles: 512, outputBytes: 1 },
    },
  }
}

function allowedOf(host: string, addresses: readonly string[]): Endpoint['allowedIps'] {
  if (isIP(host) !== 0) return [host]
  if (host === 'localhost') return loopback
  return addresses.some((address) => refusalOf(address, []) === 'private') ? addresses : []
}
