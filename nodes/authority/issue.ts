/** What commands do beside the running authority, in its data folder: make an invitation, end a node. */
import { createUser } from '@nats-io/nkeys'
import { addressesOf } from '../../mesh/address.js'
import { BrokerAccounts } from '../../mesh/broker/accounts.js'
import { openBrokerKeys, seedOf } from '../../mesh/broker/keys.js'
import { certificateFingerprint } from '../../mesh/broker/x509.js'
import { type Authority, openAuthority } from '../../mesh/seal/authority.js'
import { hex } from '../../mesh/seal/keys.js'
import { writeRevocations } from '../../mesh/seal/revocation.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { writeConfiguration } from '../outside.js'
import type { Reachable } from './address.js'
import { ofSeed, writeInvitation } from './invitation.js'
import { checkNodeName, Register } from './register.js'

export interface InvitationWish {
  roles: Role[]
  /** What the mesh says of the machine from then on, in its certificate. */
  labels: string[]
  name: string | undefined
  lifeMs: number
}

/** The string. `folder` is the authority's. */
export function issueInvitation(folder: string, reachable: Reachable, wish: InvitationWish, now: number): string {
  const { name, roles, labels, lifeMs } = wish
  if (name !== undefined) checkNodeName(name)
  const { authority, accounts, register } = open(folder, now)
  if (name !== undefined && register.member(name))
    throw new ClawmeshError('DENIED', `The mesh has a node named "${name}" already.`, {
      hint: 'Choose another name, or revoke that node first.',
    })
  const seed = seedOf(createUser())
  const { id, secret, publicKey } = ofSeed(seed)
  // A second back: the clock of the broker's machine may be a little behind the one that reads this.
  const issuedAt = Math.floor(now / 1000) - 1
  const expires = Math.ceil((now + lifeMs) / 1000)
  register.invite({ id, secret: hex(secret), roles, labels, expires, ...(name === undefined ? {} : { name }) })
  const { servers, tlsAuthority } = reachable
  return writeInvitation({
    servers,
    rootKey: authority.root.publicKey,
    tlsFingerprint: tlsAuthority === undefined ? undefined : certificateFingerprint(tlsAuthority),
    seed,
    account: accounts.account,
    issuedAt,
    expires,
    token: accounts.joinerToken(id, publicKey, issuedAt, expires),
  })
}

/**
 * Ends a node: written down first, so that it can never be certified again; then, if the mesh runs, its user is thrown off the broker, and all nodes are told under
 * the root's signature. Resolves to its name's holder.
 */
export async function revokeNode(
  folder: string,
  running: Reachable | undefined,
  name: string,
  now: number,
): Promise<string> {
  const { authority, accounts, addresses, register } = open(folder, now)
  const member = await register.revoke(name, now)
  const earlier = register.revoked().findLast((revoked) => revoked.name === name)
  const holder = member?.holder ?? earlier?.holder
  if (holder === undefined)
    throw new ClawmeshError('USAGE', `The mesh has no node named "${name}".`, {
      hint: `It has: ${register
        .members()
        .map((known) => known.name)
        .join(', ')}.`,
    })
  if (running?.isOutside) await writeConfiguration(folder, accounts, register.revokedUsers())
  if (running) await publish({ authority, accounts, addresses, register }, running)
  return holder
}

type Opened = ReturnType<typeof open>

async function publish({ authority, accounts, addresses, register }: Opened, running: Reachable): Promise<void> {
  const access = { servers: running.local, tlsAuthority: running.tlsAuthority, name: 'revoke' }
  const connect = async (account: 'system' | 'mesh') =>
    connectNats({ ...access, user: await accounts.administrator(account) })
  // Servers of another operator have a system account of their own: they are told by him.
  const [system, mesh] = await Promise.all([running.isOutside ? undefined : connect('system'), connect('mesh')])
  try {
    const bucket = await mesh.bucket(addresses.directory)
    const holders = register.revoked().map((revoked) => revoked.holder)
    await bucket.put(addresses.revokedKey, writeRevocations(authority.mesh, holders, authority.root))
    await system?.changeAccount(await accounts.meshToken(register.revokedUsers()))
  } finally {
    await Promise.all([system?.close(), mesh.close()])
  }
}

function open(folder: string, now: number) {
  const authority: Authority = openAuthority(folder, now)
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const accounts = new BrokerAccounts(openBrokerKeys(folder), addresses)
  return { authority, addresses, accounts, register: new Register(folder) }
}
