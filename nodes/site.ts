/**
 * A whole mesh on this machine: an embedded broker, the authority, this process as the supervising node, and a process for each other node. Whatever
 * happens to one of them, what was started here is ended here.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openChain } from '../mesh/audit/chain.js'
import { checkpointMark } from '../mesh/audit/checkpoint.js'
import type { Broker } from '../mesh/broker/broker.js'
import { joinMesh, type MeshNode } from '../mesh/index.js'
import type { Authority } from '../mesh/seal/authority.js'
import { type Credentials, enrol, readCredentials, writeCredentials } from '../mesh/seal/credentials.js'
import { openTasks, type Tasks } from '../mesh/task/tasks.js'
import { connectNats } from '../mesh/transport/nats.js'
import type { ClawmeshError } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import type { DataFolder } from './data-folder.js'
import { type Ground, type GroundOptions, openGround } from './ground.js'
import { type KeptNode, keepNode } from './keeper.js'
import type { NodePlan } from './plan.js'
import { type AuditTrail, chainFile, sealTrail } from './trail.js'

export interface SiteOptions extends GroundOptions {
  /** The nodes beside the supervising one. */
  nodes: { name: string; roles: readonly Role[]; plan: Pick<NodePlan, 'sandbox' | 'inference'> }[]
  /** Something that the site cannot mend: whoever waits for it should give up. */
  onFailure: (error: ClawmeshError) => void
}

export const supervisingNode = 'operator'

/** How long the others get to be seen by the supervising node. */
const appearWithinMs = 10_000

export class Site {
  readonly node: MeshNode
  readonly kept: KeptNode[]
  readonly tasks: Tasks
  readonly #ground: Ground
  readonly #folder: DataFolder

  constructor(parts: { node: MeshNode; kept: KeptNode[]; tasks: Tasks; ground: Ground; folder: DataFolder }) {
    this.node = parts.node
    this.kept = parts.kept
    this.tasks = parts.tasks
    this.#ground = parts.ground
    this.#folder = parts.folder
  }

  get broker(): Broker {
    return this.#ground.broker
  }

  /** Drains all nodes, has the trail verified and vouched for, ends the broker. */
  async close(): Promise<AuditTrail> {
    try {
      await Promise.all(this.kept.map((node) => node.stop()))
      await this.node.close()
      return await sealTrail({ ...this.#ground, folder: this.#folder }, Date.now())
    } finally {
      await this.#ground.close()
    }
  }
}

export async function startSite(options: SiteOptions): Promise<Site> {
  const { folder, progress, signal } = options
  const ground = await openGround(options)
  const undo: (() => Promise<unknown>)[] = [() => ground.close()]
  try {
    const { authority, broker, transport, seeds, addresses } = ground
    progress(`nats-server ${broker.binary.version} (${broker.binary.source}) at ${broker.url}`)
    await transport.provide(addresses)
    signal?.throwIfAborted()

    const servers = [broker.url]
    const node = await joinMesh({
      credentials: credentialsFor(authority, folder, supervisingNode, ['authority', 'supervisor', 'gateway']),
      transport: await connectNats({ servers, seed: seeds.authority, name: supervisingNode }),
      chain: openChain(chainFile(folder, supervisingNode)),
    })
    undo.push(() => node.close())
    const found = checkpointMark(folder.checkpoints)
    if (found) await node.note('checkpoints.found', found)

    const kept = await startNodes(options, authority, { servers, seed: seeds.member }, undo)
    signal?.throwIfAborted()
    await Promise.all(kept.map(({ name }) => node.directory.wait(() => node.directory.node(name), appearWithinMs)))
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: supervisingNode })
    return new Site({ node, kept, tasks, ground, folder })
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => undefined)
    throw error
  }
}

async function startNodes(
  { folder, nodes, progress, onFailure, signal }: SiteOptions,
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
        ...(signal ? { signal } : {}),
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
  // When the old certificate was good does not matter here: the mesh may not have run for long, or its clock was wrong then.
  const signing = existsSync(file) ? readCredentials(file, undefined).signing : undefined
  const credentials = enrol(authority, signing ? { name, roles, signing } : { name, roles }, Date.now())
  writeCredentials(file, credentials)
  return credentials
}

const credentialsFile = (folder: DataFolder, name: string) => join(folder.node(name), 'credentials.json')
