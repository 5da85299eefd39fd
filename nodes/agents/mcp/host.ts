/**
 * The actor that keeps an MCP server running and makes calls of its tools, on a node that has a sandbox.
 *
 *     await serveMcp(node, { name: 'files', command: 'node', args: ['server.mjs'], code: [folder], workspace, profile: await loadProfile('mcp-server') })
 *     agent(node, { …, tools: await mcpTools(node, 'files') })
 *
 * 1. A call passes: who may send it → the policy of the server, a person where that says so → the privacy router, where the server could tell it on → the digest of
 *    the tool that the caller was told of → the audit stream → the server. Its start is an action too, and on the audit stream before it happens.
 * 2. A tool that is described in other words than the caller was told is not called.
 * 3. A server that is gone is started anew for the next call. No call waits for longer than its deadline.
 */
import { z } from 'zod'
import { type ActorRef, actor, type Context, type MeshNode, message, on, type Self } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Label, labels, sensitivitySchema } from '../../../policies/router-label.js'
import { askOnRecord } from '../../../sandbox/approval.js'
import { sandboxAvailability } from '../../../sandbox/availability.js'
import { log } from '../../log.js'
import { routerOf } from '../model/privacy.js'
import type { McpConnection } from './connection.js'
import { type Definition, definitionSchema } from './definition.js'
import type { LoginFile } from './login-file.js'
import type { ServerQuestion } from './question.js'
import { textOf } from './result.js'
import { checkServer, isSink, type McpServer, ruleOf, untold } from './server.js'
import { wayTo } from './way.js'

export const mcpName = (server: string) => `mcp/${server}`

export const DescribeMcp = message('mcp.describe', {
  request: z.null(),
  reply: z.object({ tools: z.array(definitionSchema) }),
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
    /** What the work that it is for has seen; whoever says nothing may have seen anything. */
    seen: sensitivitySchema.default({ label: 'RESTRICTED', categories: [] }),
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

export interface McpOptions {
  /** What this machine has of its login, where the server has one. */
  login?: LoginFile
  /** One elsewhere that cannot be reached now is tried again when it is called. */
  mayBeAway?: boolean
}

/**
 * Starts the server once, so that one that cannot be used is known at once; but for one that waits for a person's login, which may come later, or may be away. Throws USAGE, DENIED,
 * SANDBOX_UNAVAILABLE, and what its start throws.
 */
export async function serveMcp(node: MeshNode, server: McpServer, options: McpOptions = {}): Promise<ActorRef> {
  checkServer(server)
  if ('url' in server && server.login && !options.login)
    throw new ClawmeshError('USAGE', `There is no place to keep the login of the MCP server ${server.name}.`, {
      hint: 'Give serveMcp a LoginFile, or let `clawmesh up --mcp FILE` run it.',
    })
  const availability = 'url' in server ? undefined : await sandboxAvailability()
  if (availability && !availability.available)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', availability.reason, { hint: availability.hint })
  const ref = await node.spawn(mcpHost(node, server, options), { as: mcpName(server.name) })
  try {
    await ref.ask(DescribeMcp, null, { timeoutMs: 2 * (server.startMs ?? usualStartMs) })
    return ref
  } catch (error) {
    const { code, message, hint } = ClawmeshError.from(error)
    const waits = 'url' in server && server.login && code === 'UNAUTHENTIC'
    const isAway = 'url' in server && server.runs === 'elsewhere' && (code === 'UNREACHABLE' || code === 'DEADLINE')
    if (waits || (isAway && options.mayBeAway)) {
      log.warn({ server: server.name, hint }, message)
      return ref
    }
    await node.stop(mcpName(server.name))
    throw error
  }
}

export function mcpHost(node: MeshNode, server: McpServer, options: McpOptions = {}) {
  return actor(
    'mcp',
    (self) => {
      const host = new Host(node, server, self, options)
      return [
        on(DescribeMcp, async (_, context) => ({ tools: [...(await host.describe(context))] })),
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
  readonly #login: LoginFile | undefined
  #running: Promise<McpConnection> | undefined
  /** That are under way. */
  readonly #calls = new Set<Context>()
  #isAsking = false

  constructor(node: MeshNode, server: McpServer, self: Self, { login }: McpOptions) {
    this.#login = login
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
    const held = await this.#holdBack(call, tool, context)
    if (held) return this.#outcome(...held)
    try {
      const why = await this.#untold(call, context)
      if (why !== undefined) return this.#outcome('denied', why)
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
    this.#calls.add(context)
    try {
      const result = await connection.call(tool, args, this.#waiting(context, this.#server.callMs ?? usualCallMs))
      return this.#outcome(result.isError ? 'failed' : 'done', textOf(result))
    } catch (error) {
      return this.#outcome('failed', ClawmeshError.from(error).message)
    } finally {
      this.#calls.delete(context)
    }
  }

  /** One question at a time, and only in the middle of a call: for whoever is not at work here, nobody is disturbed. */
  async #asks({ message: words, answers }: ServerQuestion): Promise<boolean> {
    const context = [...this.#calls].at(-1)
    if (!context || this.#isAsking) return false
    this.#isAsking = true
    try {
      const { name } = this.#self
      const missing = [{ kind: 'execute' as const, path: `tool:${name} asks` }]
      const question = { tool: name, args: { asks: words, answers }, missing, workspace: '' }
      const { signal, trace, deadline } = context
      const { answer } = await askOnRecord(this.#node, question, { trace, actor: name, signal, deadline })
      return answer === 'allow'
    } finally {
      this.#isAsking = false
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

  /** Why the server is not told the words of this call, with what its work has seen; undefined where it may be. */
  async #untold({ args, seen }: Call, { sender, trace }: Context): Promise<string | undefined> {
    if (!isSink(this.#server)) return undefined
    const router = await routerOf(this.#node)
    const session = router.open(trace)
    session.raise(seen)
    const request = { messages: [{ role: 'assistant' as const, content: JSON.stringify(args) }], maxTokens: 1 }
    const { decision } = await router.judge(session, request, { roles: sender.roles, actor: this.#self.name, trace })
    const keptBy = decision.effect === 'allow' ? undefined : decision.rule
    return untold(this.#server, session.sensitivity.label, keptBy)
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
    const end = (status: 'ended' | 'failed', reason: string) =>
      this.#node.audit
        .record({ kind: 'action.ended', ...record, facts: { ...facts, outcome: { status, reason } } })
        .catch(() => undefined)
    let hasEnd = true
    try {
      const { transport, ended } = await wayTo(this.#server, {
        node: this.#node,
        self: this.#self,
        trace,
        login: this.#login,
        before: async () => {
          await this.#node.audit.intend({ kind: 'action.intended', ...record, facts })
          hasEnd = false
        },
      })
      // A program's end is its own; that of a server behind a URL is that nobody speaks with it any more.
      if (ended) {
        hasEnd = true
        void ended.then((how) => end('ended', how))
      }
      const timeoutMs = this.#server.startMs ?? usualStartMs
      const asks = (question: ServerQuestion) => this.#asks(question)
      const waiting = { timeoutMs, signal: this.#self.signal, asks }
      const connection = await McpConnection.open(this.#server.name, transport, waiting)
      if (!ended) void connection.ended.then((how) => end('ended', how))
      return connection
    } catch (error) {
      if (!hasEnd) await end('failed', ClawmeshError.from(error).message)
      throw error
    }
  }

  #waiting({ deadline, signal }: Context, mostMs: number): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs: Math.min(mostMs, deadline - this.#node.now() - tellingMs), signal }
  }

  #outcome(status: McpOutcome['status'], text: string): McpOutcome {
    return { status, text, label: this.#label }
  }
}

/** Many a server takes its key in the address. */
function placeOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

/** Names of variables are told, what they hold is not. */
const said = (server: McpServer): Record<string, unknown> =>
  'url' in server
    ? { url: placeOf(server.url), runs: server.runs, ...(server.login ? { login: server.login.as } : {}) }
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
