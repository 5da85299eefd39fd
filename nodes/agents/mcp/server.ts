/** What a person says of an MCP server whose tools agents may use. */
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Profile } from '../../../policies/profile.js'
import { atLeast, type Label, labels } from '../../../policies/router-label.js'
import type { ResidentProgram } from '../../../sandbox/resident.js'

export type Rule = 'allow' | 'ask' | 'refuse'

interface Common {
  /** How its actor is called, after `mcp/`, and how the names of its tools begin. */
  name: string
  /** By its own names of tools; '*' stands for all others. 'allow' if nothing is said. */
  policy?: Readonly<Record<string, Rule>>
  /** Of all that it says; RESTRICTED unless somebody says otherwise. */
  label?: Label
  /**
   * The most sensitive that its tools may be told, by the word of a person who knows where it tells them on. Where nobody says, one that can reach a network is told
   * what the rules of the router let leave as it is, and any other is told all.
   */
  takes?: Label
  /** How long it may take to start, and to answer a call: 10 s and 30 s. */
  startMs?: number
  callMs?: number
}

/** A program that speaks on standard input and output, in a sandbox under `profile`. */
export interface StdioServer extends Common, ResidentProgram {
  profile: Profile
}

/** A server on this machine that was started by somebody else: what it does is not held by anything here, and that has to be said. */
export interface LocalServer extends Common {
  url: string
  runs: 'unsandboxed'
}

export type McpServer = StdioServer | LocalServer

const nameForm = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'small letters, digits and hyphens, 32 at most')
const saidSchema = z.looseObject({
  name: nameForm,
  policy: z.record(z.string(), z.enum(['allow', 'ask', 'refuse'])).optional(),
  label: z.enum(labels).optional(),
  takes: z.enum(labels).optional(),
  startMs: z.int().positive().optional(),
  callMs: z.int().positive().optional(),
})

/** Throws USAGE for what cannot be meant, and DENIED for a server that is on no loopback address. */
export function checkServer(server: McpServer): void {
  const said = saidSchema.safeParse(server)
  if (!said.success)
    throw new ClawmeshError('USAGE', `The MCP server cannot be used: ${z.prettifyError(said.error)}`, {
      hint: 'docs/mcp.md says what can be said of one.',
    })
  if (!('url' in server)) return
  if (server.runs !== 'unsandboxed')
    throw new ClawmeshError('USAGE', `The MCP server ${server.name} does not say where it runs.`, {
      hint: "A server behind a URL is held by no sandbox of ours: say runs: 'unsandboxed' if it may do all that it does.",
    })
  const { hostname, protocol } = new URL(server.url)
  if (protocol !== 'http:' || !/^(127(\.\d{1,3}){3}|localhost|\[::1\])$/.test(hostname))
    throw new ClawmeshError('DENIED', `The MCP server ${server.url} is not on this machine.`, {
      hint: 'What an agent tells a tool may leave the machine only where the privacy router has judged it. Use http://127.0.0.1.',
    })
}

/** How sensitive is all that a caller has seen and says, and the rule that keeps it in the mesh, if one does. */
export const toldSchema = z.object({ label: z.enum(labels), keptBy: z.string().optional() })
export type Told = z.output<typeof toldSchema>

/** Whether it has to be known what its tools are told: nothing holds what a server behind a URL does with it, nor one that may connect. */
export const isSink = (server: McpServer): boolean =>
  server.takes !== undefined ||
  'url' in server ||
  server.profile.network.length > 0 ||
  server.profile.ask.some(({ kind }) => kind === 'connect')

/** Why its tools may not be told it; undefined where they may. */
export function untold(server: McpServer, told: Told | undefined): string | undefined {
  if (!isSink(server)) return undefined
  const { name, takes } = server
  if (told === undefined) return `the caller does not say how sensitive is what mcp/${name} would be told`
  if (takes !== undefined)
    return atLeast(takes, told.label) ? undefined : `mcp/${name} takes ${takes}, and the caller has seen ${told.label}`
  return told.keptBy === undefined
    ? undefined
    : `by the rule ${told.keptBy} nothing that the caller has seen leaves the mesh, and mcp/${name} could tell it on`
}

export const ruleOf = ({ policy = {} }: McpServer, tool: string): Rule =>
  (Object.hasOwn(policy, tool) ? policy[tool] : policy['*']) ?? 'allow'
