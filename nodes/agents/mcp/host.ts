/**
 * The actor that keeps an MCP server running and makes calls of its tools, on a node that has a sandbox.
 *
 *     await serveMcp(node, { name: 'files', command: 'node', args: ['server.mjs'], code: [folder], workspace, profile: await loadProfile('mcp-server') })
 *     agent(node, { …, tools: await mcpTools(node, 'files') })
 *
 * 1. A call passes: who may send it → whether the server may be told what the caller has seen → the policy of the server, a person where that says so → the digest of the tool that the caller was told of → the audit
 *    stream → the server. Its start is an action too, and on the audit stream before it happens.
 * 2. A tool that is described in other words than the caller was told is not called.
 * 3. A server that is gone is started anew for the next call. No call waits for longer than its deadline.
 */
import { z } from 'zod'
import { type ActorRef, actor, type Context, type MeshNode, message, on, type Self } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Label, labels } from '../../../policies/router-label.js'
import { askOnRecord } from '../../../sandbox/approval.js'
import { sandboxAvailability } from '../../../sandbox/availability.js'
import { Egress } from '../../../sandbox/egress/egress.js'
import { governedEgress } from '../../../sandbox/egress/governed.js'
import { resolver } from '../../../sandbox/egress/resolve.js'
import { governedOpens } from '../../../sandbox/opens/governed.js'
import { Opens } from '../../../sandbox/opens/opens.js'
import type { LaunchPlan } from '../../../sandbox/plan.js'
import { planResident, startResident } from '../../../sandbox/resident.js'
import { readConfig } from '../../config.js'
import type { McpConnection, McpTransport } from './connection.js'
import { type Definition, definitionSchema } from './definition.js'
import { textOf } from './result.js'
import { checkServer, isSink, type McpServer, ruleOf, toldSchema, untold } from './server.js'

export const mcpName = (server: string) => `mcp/${server}`

export const DescribeMcp = message('mcp.describe', {
  request: z.null(),
  reply: z.object({ tools: z.array(definitionSchema), isSink: z.boolean() }),
  from: ['worker', 'supervisor', 'gateway', 'sandbox'],
  to: ['sandbox'],
})

export const mcpOutcomeSchema = z.object({
  status: z.enum(['done', 'refused', 'denied', 'failed']),
  /** Bounded; what it brought, or why it did not. */
  text: z.string(),
  label: z.enum(labels),
})
export type McpOutcome = z.output<typeof mcpOutcomeSchema>

export const CallMcp = message('mcp.call', {
  request: z.object({
    tool: z.string(),
    args: z.record(z.string(), z.unknown()),
    digest: z.string(),
    /** Left out, a server that could tell it on is told nothing. */
    told: toldSchema.optional(),
  }),
  reply: mcpOutcomeSchema,
  from: ['supervisor'],
  granted: { roles: ['worker'], use: ({ tool }, host) => ({ can: 'act', on: `${host}/${tool}` }) },
  to: ['sandbox'],
})

const usualStartMs = 10_000
const usualCallMs = 30_000
const callsAtOnce = 4
/** So that what went wrong is told before the caller stops listening. */
const tellingMs = 100
const recordedLength = 1000

/** Starts the server once, so that one that cannot be used is known at once. Throws USAGE, DENIED, SANDBOX_UNAVAILABLE, and what its start throws. */
export async function serveMcp(node: MeshNode, server: McpServer): Promise<ActorRef> {
  checkServer(server)
  const availability = 'url' in server ? undefined : await sandboxAvailability()
  if (availability && !availability.available)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', availability.reason, { hint: availability.hint })
  const ref = await node.spawn(mcpHost(node, server), { as: mcpName(server.name) })
  try {
    await ref.ask(DescribeMcp, null, { timeoutMs: 2 * (server.startMs ?? usualStartMs) })
    return ref
  } catch (error) {
    await node.stop(mcpName(server.name))
    throw error
  }
}

export function mcpHost(node: MeshNode, server: McpServer) {
  return actor(
    'mcp',
    (self) => {
      const host = new Host(node, server, self)
      return [
        on(DescribeMcp, async (_, context) => ({ tools: [...(await host.describe(context))], isSink: isSink(server) })),
        on(CallMcp, (call, context) => host.call(call, context)),
      ]
    },
    { args: z.undefined(), concurrency: callsAtOnce },
  )
}

type Call = z.output<(typeof CallMcp)['request']>

class Host {
  readonly #node: MeshNode
  readonly #server: McpServer
  readonly #self: Self
  readonly #label: Label
  #running: Promise<McpConnection> | undefined

  constructor(node: MeshNode, server: McpServer, self: Self) {
    this.#node = node
    this.#server = server
    this.#self = self
    this.#label = server.label ?? 'RESTRICTED'
    self.signal.addEventListener(
      'abort',
      () => void this.#running?.then((connection) => connection.close()).catch(() => undefined),
    )
  }

  async describe(context: Context): Promise<readonly Definition[]> {
    const connection = await this.#connection(context)
    return connection.tools(this.#waiting(context, this.#server.startMs ?? usualStartMs))
  }

  async call(call: Call, context: Context): Promise<McpOutcome> {
    const { args } = call
    const tool = `${this.#self.name}/${call.tool}`
    const record = { trace: context.trace, actor: this.#self.name }
    const facts = { tool, args, by: context.sender.node }
    const kept = untold(this.#server, call.told)
    if (kept !== undefined) return this.#outcome('denied', kept)
    const held = await this.#holdBack(call, tool, context)
    if (held) return this.#outcome(...held)
    try {
      const connection = await this.#connection(context)
      const tools = await connection.tools(this.#waiting(context, this.#server.startMs ?? usualStartMs))
      const problem = problemOf(call, tools)
      if (problem !== undefined) return this.#outcome('denied', problem)
      await this.#node.audit.intend({ kind: 'action.intended', ...record, facts })
      const outcome = await this.#made(connection, call, context)
      const { status, text, label } = outcome
      const came = { status, text: text.slice(0, recordedLength), length: text.length, label }
      await this.#node.audit.record({ kind: 'action.ended', ...record, facts: { ...facts, outcome: came } })
      return outcome
    } catch (error) {
      context.signal.throwIfAborted()
      return this.#outcome('failed', ClawmeshError.from(error).message)
    }
  }

  /** Also of a call that was given up: what was intended has an end on the record. */
  async #made(connection: McpConnection, { tool, args }: Call, context: Context): Promise<McpOutcome> {
    try {
      const result = await connection.call(tool, args, this.#waiting(context, this.#server.callMs ?? usualCallMs))
      return this.#outcome(result.isError ? 'failed' : 'done', textOf(result))
    } catch (error) {
      return this.#outcome('failed', ClawmeshError.from(error).message)
    }
  }

  async #holdBack(
    { tool: own, args }: Call,
    tool: string,
    context: Context,
  ): Promise<['refused' | 'denied', string] | undefined> {
    const rule = ruleOf(this.#server, own)
    if (rule === 'allow') return undefined
    if (rule === 'refuse')
      return ['denied', `the policy of the MCP server ${this.#server.name} does not let ${own} be used`]
    const { signal, trace, deadline } = context
    const missing = [{ kind: 'execute' as const, path: `tool:${tool}` }]
    const holding = { trace, actor: this.#self.name, signal, deadline }
    const { answer, by } = await askOnRecord(this.#node, { tool, args, missing, workspace: '' }, holding)
    return answer === 'allow' ? undefined : ['refused', `${own} was not allowed, by ${by}`]
  }

  /** The one that runs, or a new one. Several callers wait for the same start; none of them can call it off for the others. */
  async #connection(context: Context): Promise<McpConnection> {
    const before = this.#running
    const connection = await before?.catch(() => undefined)
    if (connection?.isOpen) return connection
    // Another call may have begun the next start meanwhile.
    const next = this.#running !== before && this.#running ? this.#running : this.#start(context.trace)
    this.#running = next
    return next
  }

  /** The protocol is loaded when a server is started: it would be a part of every program's start. */
  async #start(trace: string): Promise<McpConnection> {
    const { McpConnection } = await import('./connection.js')
    const record = { trace, actor: this.#self.name }
    const facts = { tool: this.#self.name, ...said(this.#server) }
    const { transport, ended } = await this.#transport(trace, () =>
      this.#node.audit.intend({ kind: 'action.intended', ...record, facts }),
    )
    void ended?.then((how) =>
      this.#node.audit
        .record({ kind: 'action.ended', ...record, facts: { ...facts, outcome: { status: 'ended', reason: how } } })
        .catch(() => undefined),
    )
    const timeoutMs = this.#server.startMs ?? usualStartMs
    return McpConnection.open(this.#server.name, transport, { timeoutMs, signal: this.#self.signal })
  }

  async #transport(
    trace: string,
    before: () => Promise<void>,
  ): Promise<{ transport: McpTransport; ended?: Promise<string> }> {
    const server = this.#server
    if ('url' in server) {
      const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client')
      await before()
      // It follows no redirection to another origin: what is said stays on this machine.
      return { transport: new StreamableHTTPClientTransport(new URL(server.url)) as McpTransport }
    }
    const { ResidentTransport } = await import('./transport.js')
    const plan = await planResident(server)
    await before()
    const resident = await startResident(plan, { signal: this.#self.signal, ...this.#held(server, plan, trace) })
    const ended = resident.ended.catch((error: unknown) => ClawmeshError.from(error).message)
    return { transport: new ResidentTransport(resident, plan.outputBytes), ended }
  }

  /** What the server connects to, and what it opens beyond its policy, is decided as for any action; it lives longer than the call that started it. */
  #held(server: Exclude<McpServer, { url: string }>, { program, mounts }: LaunchPlan, trace: string) {
    const { name: tool, signal } = this.#self
    const { profile, workspace, args = [], command } = server
    const action = { tool, args: { args }, workspace, trace, actor: tool, signal, deadline: Number.POSITIVE_INFINITY }
    const names = [`tool:${tool}`, ...(command === 'node' ? ['tool:node'] : [])]
    const hooks = governedEgress(this.#node, resolver(readConfig().nameServers), action)
    const files = governedOpens(this.#node, action)
    return {
      egress: new Egress({ ...hooks, profile, workspace, own: { program, names } }),
      opens: new Opens({ ...files, profile, workspace, mounts }),
    }
  }

  #waiting({ deadline, signal }: Context, mostMs: number): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs: Math.min(mostMs, deadline - this.#node.now() - tellingMs), signal }
  }

  #outcome(status: McpOutcome['status'], text: string): McpOutcome {
    return { status, text, label: this.#label }
  }
}

/** Names of variables are told, what they hold is not. */
const said = (server: McpServer): Record<string, unknown> =>
  'url' in server
    ? { url: server.url, runs: server.runs }
    : {
        command: server.command,
        args: [...(server.args ?? [])],
        env: Object.keys(server.env ?? {}),
        workspace: server.workspace,
      }

function problemOf({ tool, digest }: Call, tools: readonly Definition[]): string | undefined {
  const definition = tools.find(({ name }) => name === tool)
  if (!definition) return `the server has no tool ${tool} (any more)`
  if (definition.digest === digest) return undefined
  return `the server describes ${tool} in other words than when it was offered, so it is not called; look at it, and offer it again`
}
