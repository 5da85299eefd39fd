/** What a mesh on this machine stands on: its authority, an embedded broker on its store, and connections with every right on it. */
import { existsSync, rmSync } from 'node:fs'
import { type Addresses, addressesOf } from '../mesh/address.js'
import { BrokerAccounts } from '../mesh/broker/accounts.js'
import { type Brokers, brokersKept, startBrokers } from '../mesh/broker/brokers.js'
import { openBrokerKeys } from '../mesh/broker/keys.js'
import { type Authority, openAuthority } from '../mesh/seal/authority.js'
import { connectNats, type NatsTransport } from '../mesh/transport/nats.js'
import { ClawmeshError } from '../policies/errors.js'
import { writeAuditAccess } from './audit/access.js'
import { Register } from './authority/register.js'
import { type BrokerTls, openBrokerTls } from './authority/tls.js'
import type { Config } from './config.js'
import type { DataFolder } from './data-folder.js'

export interface GroundOptions {
  config: Config
  folder: DataFolder
  /** Where the broker listens; 127.0.0.1 if left out. Anything beyond loopback speaks TLS. */
  host?: string
  /** 0: any free port. Of several brokers, the first one's. */
  port: number
  /** Of all of them, where they were before; counted on from the first if left out. */
  ports?: readonly number[] | undefined
  /** As many as the mesh was made with if left out, and one for a new one. */
  brokers?: number | undefined
  /** How long a certificate is good, in milliseconds; the authority's default if left out. */
  certificateLifeMs?: number | undefined
  progress: (text: string) => void
  /** The broker could not be kept running. */
  onFailure?: (error: ClawmeshError) => void
  /** Aborted: what is being started is not wanted any more, and whoever starts it rejects with the reason. */
  signal?: AbortSignal
}

export interface Ground {
  readonly authority: Authority
  readonly accounts: BrokerAccounts
  readonly register: Register
  readonly addresses: Addresses
  readonly brokers: Brokers
  /** For clients on this machine. */
  readonly servers: string[]
  readonly tls: BrokerTls | undefined
  /** With every right in the account of the mesh, and in that of the audit stream. */
  readonly transport: NatsTransport
  readonly records: NatsTransport
  close(): Promise<void>
}

export async function openGround(options: GroundOptions): Promise<Ground> {
  const { config, folder, host = '127.0.0.1', port, progress, onFailure, signal } = options
  refuseWithoutAuthority(folder)
  const authority = openAuthority(folder.authority, Date.now(), options.certificateLifeMs)
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const accounts = new BrokerAccounts(openBrokerKeys(folder.authority), addresses)
  const register = new Register(folder.authority)
  const tls = isLoopback(host) ? undefined : await openBrokerTls(folder.authority, authority.mesh, Date.now())
  const count = options.brokers ?? brokersKept(folder.broker) ?? 1
  const brokers = await startBrokers({
    name: `clawmesh-${authority.mesh}`,
    folder: folder.broker,
    host,
    ports: portsFor(count, port, options.ports),
    claims: () => accounts.claims(register.revokedUsers()),
    tls: tls?.files,
    search: {
      named: config.natsServer,
      searchPath: config.searchPath,
      cache: config.cache,
      releases: config.natsReleases,
      progress,
      ...(signal ? { signal } : {}),
    },
    onRestart: (reason) => progress(`${count === 1 ? 'the' : 'a'} broker is started again: ${reason}`),
    ...(onFailure ? { onFailure } : {}),
  })
  const open: NatsTransport[] = []
  const close = async () => {
    rmSync(folder.auditAccess, { force: true })
    await Promise.all(open.map((transport) => transport.close()))
    await brokers.stop()
  }
  try {
    const connect = async (account: 'mesh' | 'audit') => {
      const user = await accounts.administrator(account)
      const access = { servers: brokers.urls, user, tlsAuthority: tls?.authority }
      const transport = await connectNats({ ...access, name: 'authority' })
      open.push(transport)
      return transport
    }
    signal?.throwIfAborted()
    const [transport, records] = [await connect('mesh'), await connect('audit')]
    const auditor = { servers: brokers.urls, user: await accounts.auditor(), tlsAuthority: tls?.authority }
    writeAuditAccess(folder.auditAccess, auditor)
    return { authority, accounts, register, addresses, brokers, servers: brokers.urls, tls, transport, records, close }
  } catch (error) {
    await close()
    throw error
  }
}

const portsFor = (count: number, first: number, known: readonly number[] | undefined): number[] =>
  Array.from({ length: count }, (_, index) => known?.[index] ?? (first === 0 ? 0 : first + index))

export const isLoopback = (host: string): boolean => /^127\.|^localhost$|^::1$/.test(host)

/** A new authority would know neither the nodes of the old one nor their trail. */
function refuseWithoutAuthority({ path, authority, nodes }: DataFolder): void {
  if (existsSync(authority) || nodes().length === 0) return
  throw new ClawmeshError(
    'UNAUTHENTIC',
    `The data folder ${path} holds nodes, but the keys of their authority are gone.`,
    {
      hint: `Restore ${authority} from a backup, or start a new mesh in another folder with --data.`,
    },
  )
}
