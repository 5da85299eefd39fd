/** Meshes for tests: the same authority and nodes over each transport, on real brokers where there is one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUser } from '@nats-io/nkeys'
import { addressesOf } from '../../mesh/address.js'
import type { BrokerBinary } from '../../mesh/broker/binary.js'
import { type Broker, startBroker } from '../../mesh/broker/broker.js'
import { officialReleases } from '../../mesh/broker/release.js'
import { type JoinOptions, joinMesh, type MeshNode } from '../../mesh/node.js'
import { type Authority, createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import { connectNats, type NatsTransport } from '../../mesh/transport/nats.js'
import type { Transport } from '../../mesh/transport/transport.js'
import { cacheFolder } from '../../nodes/config.js'
import type { Role } from '../../policies/roles.js'

export interface TestMesh {
  readonly authority: Authority
  connect(): Promise<Transport>
  join(name: string, options?: Partial<JoinOptions> & { roles?: Role[] }): Promise<MeshNode>
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
  readonly broker: Broker
  readonly folder: string
  /** A connection with every right on the broker: the operator's, and that of an intruder who took the machine over. */
  connectAsAuthority(): Promise<NatsTransport>
  readonly authoritySeed: string
  readonly memberSeed: string
}

/** `found` makes the authority, in memory if left out; the folder is the mesh's and goes with it. */
export async function natsMesh(
  binary?: BrokerBinary,
  found: (folder: string) => Authority = createAuthority,
): Promise<NatsMesh> {
  const folder = temporaryFolder()
  const authority = found(folder)
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const users = { authority: createUser(), member: createUser() }
  const broker = await startBroker({
    folder,
    port: 0,
    users: { authority: users.authority.getPublicKey(), member: users.member.getPublicKey() },
    addresses,
    search: {
      named: binary?.path,
      searchPath: process.env['PATH'] ?? '',
      cache: cacheFolder(process.env),
      releases: officialReleases,
      progress: () => undefined,
    },
  })
  const seedOf = (user: typeof users.member) => new TextDecoder().decode(user.getSeed())
  const connectAs = (seed: string, name: string) => connectNats({ servers: [broker.url], seed, name })
  const operator = await connectAs(seedOf(users.authority), 'authority')
  await operator.provide(addresses)
  const mesh = testMesh(
    authority,
    () => connectAs(seedOf(users.member), 'member'),
    async () => {
      await operator.close()
      await broker.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  )
  return {
    ...mesh,
    broker,
    folder,
    authoritySeed: seedOf(users.authority),
    memberSeed: seedOf(users.member),
    connectAsAuthority: () => connectAs(seedOf(users.authority), 'operator'),
  }
}

const defaultRoles: Role[] = ['supervisor', 'worker']

function testMesh(authority: Authority, connect: () => Promise<Transport>, end: () => Promise<void>): TestMesh {
  const joined: MeshNode[] = []
  return {
    authority,
    connect,
    join: async (name, { roles = defaultRoles, ...options } = {}) => {
      const credentials = options.credentials ?? enrol(authority, { name, roles }, Date.now())
      const node = await joinMesh({ credentials, transport: options.transport ?? (await connect()), ...options })
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
