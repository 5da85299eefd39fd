/**
 * Which addresses an action may be connected to. A name may lead anywhere, and who owns it decides where: into this machine, its networks, or to the
 * service that hands out its keys. None of that is reached unless the policy names the address itself, and some not even then. Pure: of a name only what
 * it says by itself is known here.
 */
import { type BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'
import { addressList } from './network.js'

/** Not to be named either: nobody is there, everybody is, or it is where a cloud keeps a machine's own credentials. */
const never = {
  ipv4: addressList(['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '100.100.100.200', '168.63.129.16']),
  ipv6: addressList(['::', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254', 'fd20:ce::254']),
}

/** Only where named: loopback, private and shared networks, those kept for tests and examples, and those that carry an address of version 4 within. */
const unlessNamed = {
  ipv4: addressList([
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
  ]),
  ipv6: addressList([
    '::1',
    '64:ff9b:1::/48',
    '100::/64',
    '2001::/23',
    '2001:db8::/32',
    '3fff::/20',
    '5f00::/16',
    'fc00::/7',
    'fec0::/10',
  ]),
}

/** They say one address and mean another: mapped, compatible, NAT64, 6to4. What they carry is not unpacked; they are not dialled. */
const disguised = addressList(['::ffff:0:0/96', '::/96', '64:ff9b::/96', '2002::/16'])

const nobody = addressList([])

export type Refusal = 'no address' | 'never reached' | 'private' | 'not among allowed_ips'

/**
 * Undefined where it may be dialled.
 * @param allowed `allowed_ips` of the endpoint; where there are some, it has to be among them
 * @param machines other addresses that are private: those of the machine that dials
 */
export function addressRefusal(
  address: string,
  allowed: readonly string[],
  machines: BlockList = nobody,
): Refusal | undefined {
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined
  if (!family || address.includes('%')) return 'no address'
  const at = new SocketAddress({ address, family })
  if (family === 'ipv6' && address !== '::1' && disguised.check(at)) return 'never reached'
  if (never[family].check(at)) return 'never reached'
  if (allowed.length > 0) return named(allowed, family).check(at) ? undefined : 'not among allowed_ips'
  return unlessNamed[family].check(at) || machines.check(at) ? 'private' : undefined
}

/** Of a host, as far as it says by itself where it leads: an address does, and so does `localhost`. */
export function hostRefusal(host: string, allowed: readonly string[], machines?: BlockList): Refusal | undefined {
  if (isIPv4(host)) return addressRefusal(host, allowed, machines)
  return allowed.length === 0 && isHere.test(host) ? 'private' : undefined
}

const isHere = /(^|\.)localhost$/

const lists = new WeakMap<readonly string[], { ipv4: BlockList; ipv6: BlockList }>()

/** Of one family only: a list of both would take mapped addresses for each other. */
function named(allowed: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const known = lists.get(allowed)
  if (known) return known[family]
  const isFour = (network: string) => isIPv4(network.split('/')[0] ?? '')
  const made = {
    ipv4: addressList(allowed.filter(isFour)),
    ipv6: addressList(allowed.filter((network) => !isFour(network))),
  }
  lists.set(allowed, made)
  return made[family]
}
