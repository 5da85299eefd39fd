/** Meshes for tests: the same authority and nodes over each transport, on real brokers where there is one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUser } from '@nats-io/nkeys'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { addressesOf } from '../../mesh/address.js'
import { BrokerAccounts, type BrokerUser, type RevokedUsers } from '../../mesh/broker/accounts.js'
import type { BrokerBinary } from '../../mesh/broker/binary.js'
import type { Broker } from '../../mesh/broker/broker.js'
import { type Brokers, startBrokers } from '../../mesh/broker/brokers.js'
import { createBrokerKeys, seedOf } from '../../mesh/broker/keys.js'
import { officialReleases } from '../../mesh/broker/release.js'
import { type JoinOptions, joinMesh, type MeshNode } from '../../mesh/node.js'
import { type Authority, createAuthority } from '../../mesh/seal/authority.js'
import { type Credentials, enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import { connectNats, type NatsTransport } from '../../mesh/transport/nats.js'
import type { Transport } from '../../mesh/transport/transport.js'
import { cacheFolder } from '../../nodes/config.js'
import type { Role } from '../../policies/roles.js'

export interface TestMesh {
  readonly authority: Authority
  /** As the broker lets the holder of these credentials, or some member, in. */
  connect(credentials?: Credentials): Promise<Transport>
  join(name: string, options?: Partial<JoinOptions> & { roles?: Role[]; labels?: string[] }): Promise<MeshNode>
  close(): Promise<void>
}

export type MeshFactory = () => Promise<TestMesh>

export async function memoryMesh(): Promise<TestMesh> {
  const broker = new MemoryBroker()
  return testMesh(
    createAuthority(),
    async () => broker.connect(),
    async () => undefined,
  )
}

export interface NatsMesh extends TestMesh {
  /** The first of them. */
  readonly broker: Broker
  readonly brokers: Brokers
  readonly folder: string
  readonly accounts: BrokerAccounts
  /** Connections with every right on the broker: the operator's, and those of an intruder who took the machine over. */
  connectAsAuthority(): Promise<NatsTransport>
  connectAsAuditor(): Promise<NatsTransport>
  /** The plain client, for what a node would never do. */
  plain(user: BrokerUser): Promise<NatsConnection>
  memberUser(credentials: Credentials): Promise<BrokerUser>
  /** What the broker is told of at its next start. */
  readonly revoked: RevokedUsers
}

/** `found` makes the authority, in memory if left out; the folder is the mesh's and goes with it. */
export async function natsMesh(
  binary?: BrokerBinary,
  found: (folder: string) => Authority = () => createAuthority(),
  count = 1,
): Promise<NatsMesh> {
  const folder = temporaryFolder()
  const authority = found(folder)
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const accounts = new BrokerAccounts(createBrokerKeys(), addresses)
  const revoked: RevokedUsers = {}
  const brokers = await startBrokers({
    name: 'test',
    folder,
    ports: new Array<number>(count).fill(0),
    claims: () => accounts.claims(revoked),
    search: {
      named: binary?.path,
      searchPath: process.env['PATH'] ?? '',
      cache: cacheFolder(process.env),
      releases: officialReleases,
      progress: () => undefined,
    },
  })
  const connectAs = (user: BrokerUser) => connectNats({ servers: brokers.urls, user, name: 'test' })
  const connectTo = async (account: 'mesh' | 'audit') => connectAs(await accounts.administrator(account))
  const memberUser = async ({ certificate }: Credentials): Promise<BrokerUser> => {
    const user = createUser()
    const token = await accounts.memberToken(certificate, user.getPublicKey())
    return { token, seed: seedOf(user), inbox: addresses.repliesTo(certificate.holder) }
  }
  const opened: NatsTransport[] = []
  const end = async () => {
    for (const connection of opened) await connection.close()
    await brokers.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const [broker] = brokers.members
  if (!broker) throw new Error('no broker')
  try {
    const operator = await connectTo('mesh')
    opened.push(operator)
    const auditor = await connectTo('audit')
    opened.push(auditor)
    await operator.provideBuckets(addresses, count)
    await auditor.provideAudit(addresses, count)
  } catch (error) {
    await end()
    throw error
  }
  const some = () => enrol(authority, { name: 'member', roles: ['worker'] }, Date.now())
  const mesh = testMesh(authority, async (credentials = some()) => connectAs(await memberUser(credentials)), end)
  return {
    ...mesh,
    broker,
    brokers,
    folder,
    accounts,
    revoked,
    memberUser,
    connectAsAuthority: () => connectTo('mesh'),
    connectAsAuditor: () => connectTo('audit'),
    plain: ({ token, seed, inbox }) =>
      connect({
        servers: brokers.urls,
        authenticator: jwtAuthenticator(token, new TextEncoder().encode(seed)),
        ...(inbox === undefined ? {} : { inboxPrefix: inbox }),
      }),
  }
}

const defaultRoles: Role[] = ['supervisor', 'worker']

function testMesh(authority: Authority, connect: TestMesh['connect'], end: () => Promise<void>): TestMesh {
  const joined: MeshNode[] = []
  return {
    authority,
    connect,
    join: async (name, { roles = defaultRoles, labels, ...options } = {}) => {
      const credentials = options.credentials ?? enrol(authority, { name, roles, labels }, Date.now())
      const node = await joinMesh({
        credentials,
        transport: options.transport ?? (await connect(credentials)),
        ...options,
      })
      joined.push(node)
      return node
    },
    close: async () => {
      await Promise.all(joined.map((node) => node.close()))
      await end()
    },
  }
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'clawmesh test '))
