/** A mesh on a real broker with a desk for questions, a node that asks, and people who answer. */
import { setTimeout } from 'node:timers/promises'
import { addressesOf } from '../../../mesh/address.js'
import type { MeshNode } from '../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import { approvalsName, DecideApproval, FollowApprovals, ListApprovals } from '../../../nodes/approvals/messages.js'
import type { Decision, View } from '../../../nodes/approvals/question.js'
import { type ServeApprovals, serveApprovals } from '../../../nodes/approvals/serve.js'
import { type ApprovalAnswer, askPerson } from '../../../sandbox/approval.js'
import { auditEvents } from '../../kit/events.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'

export const once: Decision = { answer: 'allow', reach: 'once' }
export const refuse: Decision = { answer: 'refuse', reach: 'once' }

export interface Asked {
  node?: MeshNode
  tool?: string
  args?: Record<string, unknown>
  paths?: string[]
  by?: string
  task?: string
  signal?: AbortSignal
}

export class Stand {
  readonly mesh: NatsMesh
  /** Asks. */
  readonly box: MeshNode
  /** Vouches for persons. */
  readonly front: MeshNode
  /** A person. */
  readonly ada: MeshNode
  home: MeshNode
  tasks: Tasks | undefined
  readonly #open: NatsTransport[] = []

  constructor(mesh: NatsMesh, home: MeshNode, box: MeshNode, front: MeshNode, ada: MeshNode) {
    this.mesh = mesh
    this.home = home
    this.box = box
    this.front = front
    this.ada = ada
  }

  ask({
    node = this.box,
    tool = 'read_file',
    args = { path: '../a' },
    paths = ['/a'],
    by,
    task = 't',
    signal,
  }: Asked = {}): Promise<ApprovalAnswer> {
    const missing = paths.map((path) => ({ kind: 'read' as const, path, ...(by === undefined ? {} : { by }) }))
    const question = { node: node.name, tool, args, missing, workspace: '/work' }
    return askPerson(node, question, {
      signal: signal ?? new AbortController().signal,
      trace: task,
      deadline: node.now() + 120_000,
    })
  }

  decide(id: string, decision: Decision, by?: string, node = this.front): Promise<View> {
    return node.ref(approvalsName).ask(DecideApproval, { id, decision, ...(by === undefined ? {} : { by }) })
  }

  async open(state: 'open' | 'all' = 'open', node = this.front): Promise<View[]> {
    return (await node.ref(approvalsName).ask(ListApprovals, { state })).questions
  }

  /** Resolves when so many are open. */
  shown(count = 1): Promise<View[]> {
    return eventually(async () => {
      const open = await this.open()
      if (open.length !== count) throw new Error(`${open.length} are open`)
      return open
    })
  }

  async *follow(after = 0): AsyncGenerator<View> {
    yield* this.front.ref(approvalsName).stream(FollowApprovals, { after }, { timeoutMs: 300_000 })
  }

  /** Facts of the events of one kind, as an auditor reads them. */
  async events(kind: string): Promise<Record<string, unknown>[]> {
    await this.home.audit.flush(60_000)
    const auditor = await this.mesh.connectAsAuditor()
    const events = await auditEvents(this.mesh, auditor)
    await auditor.close()
    return events.filter((event) => event.kind === kind).map(({ facts, trace }) => ({ ...facts, trace }))
  }

  async serve(node: MeshNode, options: Partial<ServeApprovals> = {}): Promise<void> {
    const { authority } = this.mesh
    const transport = await this.mesh.connectAsAuthority()
    this.#open.push(transport)
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const bucket = await transport.bucket(addresses.approvals)
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
    this.tasks = tasks
    const hasEnded = (task: string) => tasks.hasEnded(task)
    await serveApprovals(node, { bucket, secret: authority.tasksKey, hasEnded, ...options })
    this.home = node
    await eventually(() => {
      for (const one of [this.box, this.front, this.ada])
        for (const actor of [approvalsName, 'approver'])
          if (one.directory.locate(actor)?.certificate.name !== node.name) throw new Error('it is not seen yet')
    })
  }

  async close(): Promise<void> {
    for (const transport of this.#open) await transport.close()
    await this.mesh.close()
  }
}

/** `now`: the clock of all its nodes. */
export async function openDesk(options: Partial<ServeApprovals> = {}, now: () => number = Date.now): Promise<Stand> {
  const mesh = await natsMesh()
  const home = await mesh.join('home', { roles: ['authority', 'supervisor', 'gateway'], now })
  const box = await mesh.join('box', { roles: ['sandbox'], now })
  const front = await mesh.join('front', { roles: ['gateway'], now })
  const ada = await mesh.join('ada', { roles: ['approver'], now })
  const stand = new Stand(mesh, home, box, front, ada)
  await stand.serve(home, options)
  return stand
}

/** Undefined as long as it is not there. */
export const soon = <T>(promise: Promise<T>, ms = 150): Promise<T | undefined> =>
  Promise.race([promise, setTimeout(ms, undefined, { ref: false })])
