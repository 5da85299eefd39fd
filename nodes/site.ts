/**
 * A whole mesh on this machine: an embedded broker, the authority, this process as the supervising node, and a process for each other node. Whatever
 * happens to one of them, what was started here is ended here.
 */
import { openChain } from '../mesh/audit/chain.js'
import { checkpointMark } from '../mesh/audit/checkpoint.js'
import { joinMesh, type MeshNode } from '../mesh/index.js'
import { serveMail } from '../mesh/mail/serve.js'
import { writeRevocations } from '../mesh/seal/revocation.js'
import { openTasks, type Tasks } from '../mesh/task/tasks.js'
import { connectNats } from '../mesh/transport/nats.js'
import type { Subscription } from '../mesh/transport/transport.js'
import type { ClawmeshError } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import { opinionOf } from './agents/model/opinion.js'
import type { Question } from './approvals/question.js'
import { serveApprovals } from './approvals/serve.js'
import { serversOf, writeReachable } from './authority/address.js'
import { Desk } from './authority/desk.js'
import { type Hangups, tellHangups } from './authority/hangups.js'
import { PolicyBook, publishPolicy } from './authority/policy-book.js'
import { keepVouching, type Vouching } from './authority/vouching.js'
import { readConfig } from './config.js'
import type { DataFolder } from './data-folder.js'
import { type ElsewhereOptions, providerStore, serveElsewhere } from './elsewhere.js'
import { type Ground, type GroundOptions, openGround } from './ground.js'
import { keepCertified } from './member/certified.js'
import { enrolHere, nodeFiles } from './member/member.js'
import { type KeptNode, keepNode } from './process/keeper.js'
import type { NodePlan } from './process/plan.js'
import { rulesOfMesh, spendingFile } from './router-rules.js'
import type { Servers } from './servers.js'
import { openTraces } from './traces.js'
import { type AuditTrail, sealTrail } from './trail.js'

export interface SiteOptions extends GroundOptions {
  /** The nodes beside the supervising one. */
  nodes: {
    name: string
    roles: readonly Role[]
    /** Those that it had, if left out. */
    labels?: string[] | undefined
    plan: Pick<NodePlan, 'sandbox' | 'inference' | 'mcp'>
  }[]
  /** Given where nobody can come to answer: held actions are refused at once while nobody follows the questions. */
  unattended?: (question: Question) => void
  /** Something that the site cannot mend: whoever waits for it should give up. */
  onFailure: (error: ClawmeshError) => void
  /** Where other machines find the broker, if not at an address of this one. */
  advertise?: string | undefined
  /** How often the authority vouches for the trail while the mesh runs; each hour, if left out. */
  checkpointEveryMs?: number | undefined
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
  readonly #desk: Subscription
  readonly #hangups: Hangups | undefined
  readonly #vouching: Vouching

  constructor(parts: {
    node: MeshNode
    kept: KeptNode[]
    tasks: Tasks
    ground: Ground
    folder: DataFolder
    desk: Subscription
    hangups: Hangups | undefined
    vouching: Vouching
  }) {
    this.node = parts.node
    this.kept = parts.kept
    this.tasks = parts.tasks
    this.#ground = parts.ground
    this.#folder = parts.folder
    this.#desk = parts.desk
    this.#hangups = parts.hangups
    this.#vouching = parts.vouching
  }

  get nats(): Servers {
    return this.#ground.nats
  }

  get ground(): Ground {
    return this.#ground
  }

  /** Drains all nodes, has the trail verified and vouched for, ends the broker. */
  async close(): Promise<AuditTrail> {
    try {
      this.#desk.unsubscribe()
      await this.#hangups?.close()
      await this.#vouching.close()
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
    const { nats } = ground
    progress(`nats-server ${nats.version} (${nats.source}) at ${nats.urls.join(', ')}`)
    await ground.transport.provideBuckets(ground.addresses, nats.replicas)
    await ground.records.provideAudit(ground.addresses, nats.replicas)
    await publishRevocations(ground)
    await republishPolicy(ground, folder)
    signal?.throwIfAborted()

    const node = await supervise(ground, folder, progress)
    undo.push(() => node.close())
    await serveElsewhere(node, { ...elsewhereOf(node, ground, folder), progress })
    const found = checkpointMark(folder.checkpoints)
    if (found) await node.note('checkpoints.found', found)

    const isOutside = nats.source === 'outside'
    const servers = isOutside
      ? nats.urls
      : serversOf({ host: '127.0.0.1', ...options }, nats.ports, ground.tls !== undefined)
    const desk = await openDesk(ground, node, servers)
    writeReachable(folder.authority, { local: ground.servers, servers, isOutside, tlsAuthority: ground.tls?.authority })
    undo.push(async () => desk.unsubscribe())
    const hangups = isOutside ? undefined : await openHangups(ground, node)
    undo.push(async () => hangups?.close())
    const kept = await startNodes(options, ground, undo)
    signal?.throwIfAborted()
    await Promise.all(kept.map(({ name }) => node.directory.wait(() => node.directory.node(name), appearWithinMs)))
    const { transport, addresses, authority } = ground
    const bucket = await transport.bucket(addresses.approvals)
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: supervisingNode })
    const hasEnded = (task: string) => tasks.hasEnded(task)
    await serveApprovals(node, { bucket, secret: authority.tasksKey, hasEnded, unattended: options.unattended })
    await serveMail(node, { bucket: await transport.bucket(addresses.mail), secret: authority.tasksKey })
    const vouching = keepVouching({
      ...{ data: folder.path, log: ground.records.log(addresses.auditStream), progress },
      everyMs: options.checkpointEveryMs,
    })
    return new Site({ node, kept, tasks, ground, folder, desk, hangups, vouching })
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => undefined)
    throw error
  }
}

/** This process as a node: the one that speaks for the authority. */
async function supervise(ground: Ground, folder: DataFolder, progress: (text: string) => void): Promise<MeshNode> {
  const roles = ['authority', 'supervisor', 'gateway'] as const
  const { credentials, access } = await enrolHere(ground, folder, supervisingNode, roles)
  const files = nodeFiles(folder, supervisingNode)
  const transport = await connectNats({ ...access, name: credentials.certificate.holder })
  const node = await joinMesh({
    credentials,
    transport,
    chain: openChain(files.chain),
    spans: openTraces(readConfig().traces, supervisingNode, progress),
  })
  keepCertified(node, credentials, files, transport, ({ message }) => progress(`not certified anew: ${message}`))
  return node
}

/** The way out of this mesh: the rules, and the keys of whoever was added. */
const elsewhereOf = (node: MeshNode, { authority }: Ground, { path }: DataFolder): ElsewhereOptions => ({
  rules: rulesOfMesh(path).text,
  store: providerStore(path, authority),
  spending: spendingFile(path),
  opinion: opinionOf(node),
})

function openDesk(ground: Ground, node: MeshNode, servers: string[]): Promise<Subscription> {
  const desk = new Desk({
    ...ground,
    node,
    servers,
    tlsAuthority: ground.tls?.authority,
  })
  return ground.transport.answer(ground.addresses.enrolment, (question) => desk.answer(question))
}

/** Servers of another operator have a system account of their own: there the lease tells. */
async function openHangups({ servers, tls, ...ground }: Ground, { directory }: MeshNode): Promise<Hangups> {
  const bucket = await ground.transport.bucket(ground.addresses.directory)
  return tellHangups({ ...ground, access: { servers, tlsAuthority: tls?.authority }, directory, bucket })
}

/** Also what was revoked while the mesh did not run. */
async function publishRevocations({ authority, register, transport, addresses }: Ground): Promise<void> {
  const holders = register.revoked().map(({ holder }) => holder)
  if (holders.length === 0) return
  const bucket = await transport.bucket(addresses.directory)
  await bucket.put(addresses.revokedKey, writeRevocations(authority.mesh, holders, authority.root))
}

/** Also what was put in force while the mesh did not run. */
async function republishPolicy(ground: Ground, folder: DataFolder): Promise<void> {
  const newest = new PolicyBook(folder.authority, ground.authority).newest()
  if (newest) await publishPolicy(newest, ground)
}

async function startNodes(
  { folder, nodes, progress, onFailure, signal }: SiteOptions,
  ground: Ground,
  undo: (() => Promise<unknown>)[],
): Promise<KeptNode[]> {
  const started = await Promise.allSettled(
    nodes.map(async ({ name, roles, labels, plan }) => {
      await enrolHere(ground, folder, name, roles, labels)
      const kept = await keepNode({
        name,
        plan: { ...nodeFiles(folder, name), ...plan },
        logFolder: folder.node(name),
        onRestart: (_, reason) => progress(`node ${name} ${reason}; it is started again`),
        // One that was revoked is gone by somebody's will; the rest goes on.
        onGiveUp: (_, error) => (error.code === 'DENIED' ? progress(error.message) : onFailure(error)),
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
