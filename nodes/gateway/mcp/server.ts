/**
 * The mesh as an MCP server, as one caller sees it: the tools that his role may use. Every use is on the audit stream before the mesh is asked, with its
 * outcome after; what a tool then does in a sandbox is recorded there, under the same trace.
 */
import { randomUUID } from 'node:crypto'
import {
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
  type Tool,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type People, whyRefused } from '../../../policies/people.js'
import type { DataSubject } from '../../data-subject.js'
import { log } from '../../log.js'
import { productVersion } from '../../version.js'
import type { Principal } from '../http/keys.js'
import { type MeshTool, ruleOnTool, type Use } from './mesh-tool.js'

export interface Serving {
  node: MeshNode
  tools: readonly MeshTool[]
  principal: Principal
  /** The policies that say what he may, as they are now. */
  people: () => People
  /** Awaited before they decide on the use of a tool: the trail has them first. */
  settled?: () => Promise<void>
  /** Is told what he was refused, and why. */
  refused: (why: string) => void
  /** Whom it is about what he asks for. */
  subject: DataSubject | undefined
  /** Milliseconds that one use may take. */
  answerMs: number
  /** Nobody will hear the answer. */
  closing: AbortSignal
}

/** Characters of what is asked with and of what is answered: what is asked stands on the trail. */
const longest = 65_536
const instructions =
  'Tools of a mesh of agents. Each runs in a sandbox of the mesh; one that the policy of its machine does not allow waits for a person, or is refused.'

export function mcpServer(serving: Serving): Server {
  const { tools, principal, people, refused } = serving
  const server = new Server(
    { name: 'clawmesh', version: productVersion },
    { capabilities: { tools: {} }, instructions },
  )
  const listed = () => tools.filter((tool) => ruleOnTool(people(), principal, tool).allowed)
  server.setRequestHandler('tools/list', () => ({ tools: listed().map(described) }))
  server.setRequestHandler('tools/call', async ({ params: { name, arguments: args = {} } }, { mcpReq }) => {
    await serving.settled?.()
    const tool = tools.find((known) => known.name === name)
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool ${name.slice(0, 128)}.`)
    const ruling = ruleOnTool(people(), principal, tool, args)
    if (!ruling.allowed) {
      const why = `A key with the role ${principal.role} may not use ${name}: ${whyRefused(ruling)}.`
      refused(why)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, why)
    }
    return use(serving, tool, args, ruling.by, mcpReq)
  })
  return server
}

function described({ name, description, args, readOnly }: MeshTool): Tool {
  return {
    name,
    description,
    inputSchema: z.toJSONSchema(args, { io: 'input' }) as Tool['inputSchema'],
    annotations: { readOnlyHint: readOnly, openWorldHint: false },
  }
}

async function use(
  serving: Serving,
  tool: MeshTool,
  args: Record<string, unknown>,
  by: readonly string[],
  request: Pick<ServerContext['mcpReq'], '_meta' | 'notify' | 'signal'>,
): Promise<CallToolResult> {
  const { node, principal, subject, answerMs, closing } = serving
  const trace = randomUUID()
  subject?.file(trace)
  const note = (kind: 'gateway.asked' | 'gateway.answered', facts: Record<string, unknown>) =>
    node.note(kind, { key: principal.name, tool: tool.name, ...facts }, trace, 'mcp')
  const characters = JSON.stringify(args).length
  const asked = characters > longest ? { characters } : { args }
  await note('gateway.asked', { role: principal.role, policies: by, ...asked })
  try {
    if (characters > longest)
      throw new ClawmeshError('MESSAGE_INVALID', `The arguments have ${characters} characters, of ${longest} at most.`)
    const given = tool.args.safeParse(args)
    if (!given.success) throw new ClawmeshError('MESSAGE_INVALID', z.prettifyError(given.error))
    const signal = AbortSignal.any([request.signal, closing])
    const { text, facts } = await tool.run(given.data, {
      signal,
      deadline: node.now() + answerMs,
      trace,
      by: principal.name,
      subject,
      progress: progressOf(request),
    })
    await note('gateway.answered', { status: 'done' })
    return { content: [{ type: 'text', text: bounded(text, facts) }], ...structured(facts) }
  } catch (error) {
    const { code, message, hint } = ClawmeshError.from(error)
    await note('gateway.answered', { status: 'failed', error: code })
    // What nobody foresaw may name files and hosts: that is for the log of this machine alone.
    if (code === 'INTERNAL') log.error({ err: error }, 'a tool of the mesh failed')
    const said = code === 'INTERNAL' ? 'The mesh failed. Its own log says why.' : `${message} ${hint}`.trim()
    return { content: [{ type: 'text', text: said }], isError: true }
  }
}

/** Undefined where the caller did not ask for it. What cannot be told is not missed: the answer follows. */
function progressOf({ _meta, notify }: Pick<ServerContext['mcpReq'], '_meta' | 'notify'>): Use['progress'] {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined) return undefined
  return (progress, total, message) => {
    const params = { progressToken, progress, message, ...(total === undefined ? {} : { total }) }
    void notify({ method: 'notifications/progress', params }).catch(() => undefined)
  }
}

/** A client that knows no structured content has the same in the text. */
function bounded(text: string, facts: Record<string, unknown> | undefined): string {
  const whole = facts === undefined ? text : JSON.stringify(facts)
  return whole.length <= longest
    ? whole
    : `${whole.slice(0, longest)}\n[${whole.length - longest} more characters are left out]`
}

const structured = (facts: Record<string, unknown> | undefined): Pick<CallToolResult, 'structuredContent'> =>
  facts === undefined || JSON.stringify(facts).length > longest ? {} : { structuredContent: facts }
