/** The tools of an MCP server as an agent's. */
import type { ToolSpec } from '../../../inference/tool.js'
import type { CallOptions, MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Sensitivity } from '../../../policies/router-label.js'
import { specOf } from './definition.js'
import { CallMcp, DescribeMcp, type McpOutcome, mcpName } from './host.js'

export interface McpTool {
  readonly kind: 'mcp'
  readonly spec: ToolSpec
  readonly server: string
  /** The server's own name of it. */
  readonly tool: string
  /** Of the description that `spec` was made of. */
  readonly digest: string
}

/**
 * What the server offers now; `only` names those that are wanted, by the server's own names. Throws USAGE where one of these is not there or cannot be offered
 * to a model; of the others, what cannot be offered is left out.
 */
export async function mcpTools(
  node: MeshNode,
  server: string,
  { only, ...options }: CallOptions & { only?: readonly string[] } = {},
): Promise<McpTool[]> {
  const { tools } = await node.ref(mcpName(server)).ask(DescribeMcp, null, options)
  const wanted = only ?? tools.map(({ name }) => name)
  return wanted.flatMap((tool): McpTool[] => {
    const definition = tools.find(({ name }) => name === tool)
    const spec = definition ? specOf(server, definition) : 'there is none of this name'
    if (definition && typeof spec !== 'string') return [{ kind: 'mcp', spec, server, tool, digest: definition.digest }]
    if (!only) return []
    throw new ClawmeshError('USAGE', `The tool ${tool} of the MCP server ${server} cannot be used: ${String(spec)}.`, {
      hint: `It has: ${tools.map(({ name }) => name).join(', ') || 'none'}.`,
    })
  })
}

/** `seen`: what the work that it is for has seen. Left out, it may be anything, and a server that could tell it on is told nothing. */
export const callMcp = (
  node: MeshNode,
  { server, tool, digest }: McpTool,
  args: Record<string, unknown>,
  { seen, ...options }: CallOptions & { seen?: Sensitivity },
): Promise<McpOutcome> => node.ref(mcpName(server)).ask(CallMcp, { tool, args, digest, seen }, options)
