/** What a mesh on this machine stands on: its authority, NATS servers, and connections with every right on it. */
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { type Addresses, addressesOf } from '../mesh/address.js'
import { BrokerAccounts } from '../mesh/broker/accounts.js'
import { openBrokerKeys } from '../mesh/broker/keys.js'
import { type Authority, openAuthority } from '../mesh/seal/authority.js'
import { connectNats, type NatsTransport } from '../mesh/transport/nats.js'
import { ClawmeshError } from '../policies/errors.js'
import { writeAuditAccess } from './audit/access.js'
import { Register } from './authority/register.js'
import type { BrokerTls } from './authority/tls.js'
import type { DataFolder } from './data-folder.js'
import { openServers, type Servers, type ServersOptions } from './servers.js'

export interface GroundOptions extends ServersOptions {
  /** How long a certificate is good, in milliseconds; the authority's default if left out. */
  certificateLifeMs?: number | undefined
}

export interface Ground {
  readonly authority: Authority
  readonly accounts: BrokerAccounts
  readonly register: Register
  readonly addresses: Addresses
  readonly nats: Servers
  /** For clients on this machine. */
  readonly servers: string[]
  readonly tls: BrokerTls | undefined
  /** With every right in the account of the mesh, and in that of the audit stream. */
  readonly transport: NatsTransport
  readonly records: NatsTransport
  close(): Promise<void>
}

export async function openGround(options: GroundOptions): Promise<Ground> {
  const { folder, signal } = options
  refuseWithoutAuthority(folder)
  const authority = openAuthority(folder.authority, Date.now(), options.certificateLifeMs)
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const accounts = new BrokerAccounts(openBrokerKeys(folder.authority), addresses)
  const register = new Register(folder.authority)
  const nats = await openServers(options, { authority, accounts, addresses, register })
  const { urls: servers, tls } = nats
  const open: NatsTransport[] = []
  const close = async () => {
    rmSync(folder.auditAccess, { force: true })
    await Promise.all(open.map((transport) => transport.close()))
    await nats.stop()
  }
  try {
    const connect = async (account: 'mesh' | 'audit') => {
      const user = await accounts.administrator(account)
      const access = { servers, user, tlsAuthority: tls?.authority }
      const transport = await connectNats({ ...access, name: 'authority' })
      open.push(transport)
      return transport
    }
    signal?.throwIfAborted()
    const [transport, records] = [await connect('mesh'), await connect('audit')]
    const auditor = { servers, user: await accounts.auditor(), tlsAuthority: tls?.authority }
    // Nothing else is there where the servers are somebody else's.
    mkdirSync(folder.broker, { recursive: true, mode: 0o700 })
    writeAuditAccess(folder.auditAccess, auditor)
    return { authority, accounts, register, addresses, nats, servers, tls, transport, records, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** A new authority would know neither the nodes of the old one nor their trail. */
function refuseWithoutAuthority({ path, authority, nodes }: DataFolder): void {
  if (existsSync(authority) || nodes().length === 0) return
  throw new ClawmeshError('UNAUTHENTIC', `The data folder ${path} holds nodes, and not the keys of their authority.`, {
    hint: `If it joined a mesh, this is for where that mesh was made. If the mesh was made here: restore ${authority} from a backup, or start a new mesh in another folder with --data.`,
  })
}
