/** Which addresses this machine connects an action to: as a policy has it, and those of the machine's own interfaces are private, whatever network they are in. */
import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'
import { addressRefusal, hostRefusal, type Refusal } from '../../policies/address.js'
import { addressList } from '../../policies/network.js'

/** Undefined where it may be dialled; `allowed` is as there. */
export const refusalOf = (address: string, allowed: readonly string[]): Refusal | undefined =>
  addressRefusal(address, allowed, ownAddresses())

/** Undefined where a person's yes may reach it: what only its name's addresses tell is not known yet. */
export const refusalOfYes = (host: string): Refusal | undefined => hostRefusal(host, [], ownAddresses())

/** What the machine's interfaces are asked once in such a time. */
const ownForMs = 1000
let own = { list: new BlockList(), until: 0 }

function ownAddresses(): BlockList {
  if (performance.now() < own.until) return own.list
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  const list = addressList(addresses.map(({ address }) => address.replace(/%.*$/, '')))
  own = { list, until: performance.now() + ownForMs }
  return list
}
