/**
 * A whole mesh on this machine: an embedded broker, the authority, this process as the supervising node, and a process for each other node. Whatever
 * happens to one of them, what was started here is ended here.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createUser } from '@nats-io/nkeys'
import { type Addresses, addressesOf } from '../mesh/address.js'
import { openChain } from '../mesh/audit/chain.js'
import { type Broker, startBroker } from '../mesh/broker/broker.js'
import { joinMesh, type MeshNode } from '../mesh/index.js'
import { type Authority, openAuthority } from '../mesh/seal/authority.js'
import { type Credentials, enrol, readCredentials, writeCredentials } from '../mesh/seal/credentials.js'
import { connectNats, type NatsTransport } from '../mesh/transport/nats.js'
import type { ClawmeshError } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import type { Config } from './config.js'
import type { DataFolder } from './data-folder.js'
import { type KeptNode, keepNode } from './keeper.js'
import type { NodePlan } from './plan.js'
import { type AuditTrail, chainFile, sealTrail } from './trail.js'

export interface SiteOptions {
  config: Config
  folder: DataFolder
  /** 0: any free port. */
  port: number
  /** The nodes beside the supervising one. */
  nodes: { name: string; roles: readonly Role[]; plan: Pick<NodePlan, 'sandbox' | 'inference'> }[]
  progress: (text: string) => void
  /** Something that the site cannot mend: whoever waits for it should give up. */
  onFailure: (error: ClawmeshError) => void
}

export const supervisingNode = 'operator'

/** How long the others get to be seen by the supervising node. */
const appearWithinMs = 10_000

export class Site {
  readonly node: MeshNode
  readonly broker: Broker
  readonly kept: KeptNode[]
  readonly #authority: Authority
  readonly #addresses: Addresses
  readonly #transport: NatsTransport
  readonly #folder: DataFolder

  constructor(parts: {
    node: MeshNode
    broker: Broker
    kept: KeptNode[]
    authority: Authority
    addresses: Addresses
    transport: NatsTransport
    folder: DataFolder
  }) {
    this.node = parts.node
    this.broker = parts.broker
    this.kept = parts.kept
    this.#authority = parts.authority
    this.#addresses = parts.addresses
    this.#transport = parts.transport
    this.#folder = parts.folder
  }

  /** Drains all nodes, has the trail verified and vouched for, ends the broker. */
  async close(): Promise<AuditTrail> {
    try {
      await Promise.all(this.kept.map((node) => node.stop()))
      await this.node.close()
      const trail = {
        transport: this.#transport,
        addresses: this.#addresses,
        authority: this.#authority,
        folder: this.#folder,
      }
      return await sealTrail(trail, Date.now())
    } finally {
      await this.#transport.close()
      await this.broker.stop()
    }
  }
}

export async function startSite(options: SiteOptions): Promise<Site> {
  const { config, folder, port, progress, onFailure } = options
  const authority = openAuthority(folder.authority, Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const users = { authority: createUser(), member: createUser() }
  const undo: (() => Promise<unknown>)[] = []
  try {
    const broker = await startBroker({
      folder: folder.broker,
      port,
      users: { authority: users.authority.getPublicKey(), member: users.member.getPublicKey() },
      addresses,
      search: {
        named: config.natsServer,
        searchPath: config.searchPath,
        cache: config.cache,
        releases: config.natsReleases,
        progress,
      },
      onRestart: (reason) => progress(`the broker is started again: ${reason}`),
      onFailure,
    })
    undo.push(() => broker.stop())
    progress(`nats-server ${broker.binary.version} (${broker.binary.source}) at ${broker.url}`)

    const servers = [broker.url]
    const asAuthority = { servers, seed: seedOf(users.authority), name: 'authority' }
    const transport = await connectNats(asAuthority)
    undo.push(() => transport.close())
    await transport.provide(addresses)

    const credentials = credentialsFor(authority, folder, supervisingNode, ['authority', 'supervisor', 'gateway'])
    const node = await joinMesh({
      credentials,
      transport: await connectNats({ ...asAuthority, name: supervisingNode }),
      chain: openChain(chainFile(folder, supervisingNode)),
    })
    undo.push(() => node.close())

    const kept = await startNodes(options, authority, { servers, seed: seedOf(users.member) }, undo)
    await Promise.all(kept.map(({ name }) => node.directory.wait(() => node.directory.node(name), appearWithinMs)))
    return new Site({ node, broker, kept, authority, addresses, transport, folder })
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => undefined)
    throw error
  }
}

async function startNodes(
  { folder, nodes, progress, onFailure }: SiteOptions,
  authority: Authority,
  broker: NodePlan['broker'],
  undo: (() => Promise<unknown>)[],
): Promise<KeptNode[]> {
  const started = await Promise.allSettled(
    nodes.map(async ({ name, roles, plan }) => {
      credentialsFor(authority, folder, name, roles)
      const kept = await keepNode({
        name,
        plan: { credentials: credentialsFile(folder, name), chain: chainFile(folder, name), broker, ...plan },
        logFolder: folder.node(name),
        onRestart: (_, reason) => progress(`node ${name} ${reason}; it is started again`),
        onGiveUp: (_, error) => onFailure(error),
      })
      undo.push(() => kept.stop())
      return kept
    }),
  )
  return started.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

/** A node that ran here before keeps its key, so its audit chain goes on; its certificate is new each time. */
function credentialsFor(authority: Authority, folder: DataFolder, name: string, roles: readonly Role[]): Credentials {
  const file = credentialsFile(folder, name)
  const now = Date.now()
  const signing = existsSync(file) ? readCredentials(file, now).signing : undefined
  const credentials = enrol(authority, signing ? { name, roles, signing } : { name, roles }, now)
  writeCredentials(file, credentials)
  return credentials
}

const credentialsFile = (folder: DataFolder, name: string) => join(folder.node(name), 'credentials.json')
const seedOf = (user: ReturnType<typeof createUser>) => new TextDecoder().decode(user.getSeed())
