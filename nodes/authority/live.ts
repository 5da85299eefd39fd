/** A mesh that runs on this machine, to whoever may read its authority's keys: what its own process stands on, without the broker being ours to end. */
import { join, resolve } from 'node:path'
import { addressesOf } from '../../mesh/address.js'
import { BrokerAccounts } from '../../mesh/broker/accounts.js'
import { openBrokerKeys } from '../../mesh/broker/keys.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import { isMemberOnly, isRunning } from '../data-folder.js'
import type { Ground } from '../ground.js'
import { readReachable } from './address.js'
import { Register } from './register.js'

export type LiveGround = Pick<Ground, 'authority' | 'accounts' | 'register' | 'addresses' | 'transport' | 'close'> & {
  servers: string[]
  tls: { authority: string } | undefined
}

/** Undefined if none runs in this data folder. */
export async function openLiveGround(data: string): Promise<LiveGround | undefined> {
  const folder = join(resolve(data), 'authority')
  const reachable = isRunning(data) ? readReachable(folder) : undefined
  if (!reachable) return undefined
  const authority = openAuthority(folder, Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const accounts = new BrokerAccounts(openBrokerKeys(folder), addresses)
  const { local, tlsAuthority } = reachable
  const user = await accounts.administrator('mesh')
  const transport = await connectNats({ servers: local, user, tlsAuthority, name: 'authority' })
  return {
    authority,
    accounts,
    addresses,
    register: new Register(folder),
    transport,
    servers: local,
    tls: tlsAuthority === undefined ? undefined : { authority: tlsAuthority },
    close: () => transport.close(),
  }
}

export const notRunning = (data: string): ClawmeshError =>
  isMemberOnly(data)
    ? new ClawmeshError('UNREACHABLE', `${data} is of a node that joined a mesh.`, {
        hint: 'This works where that mesh was made: type it there.',
      })
    : new ClawmeshError('UNREACHABLE', `No mesh runs in ${data}.`, {
        hint: 'This works where the authority is: start `clawmesh up` there, and name its data folder with --data.',
      })
