/** What a person says of an MCP server whose tools agents may use. */
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Profile } from '../../../policies/profile.js'
import { atLeast, type Label, labels } from '../../../policies/router-label.js'
import type { ResidentProgram } from '../../../sandbox/resident.js'
import { type Login, loginSchema } from './login.js'
import { isHere } from './outbound.js'

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
  login?: Login
}

/** A server on another machine: whatever it is told leaves the mesh, so the privacy router judges each call first. */
export interface RemoteServer extends Common {
  /** https */
  url: string
  runs: 'elsewhere'
  login?: Login
  /** Others that it sends us to, for the login above all; as in a URL. */
  hosts?: readonly string[]
  /** Private addresses or networks where it may be, all the same. */
  addresses?: readonly string[]
  /** Authorities to be trusted instead of those that Node knows, PEM. */
  trust?: string
}

export type UrlServer = LocalServer | RemoteServer
export type McpServer = StdioServer | UrlServer

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
  const { name, url, runs, login } = server
  if (login !== undefined && !loginSchema.safeParse(login).success)
    throw new ClawmeshError('USAGE', `The login of the MCP server ${name} cannot be used.`, {
      hint: z.prettifyError(loginSchema.safeParse(login).error as z.ZodError),
    })
  const target = new URL(url)
  if (runs === 'elsewhere') {
    if (target.protocol === 'https:' && target.username === '' && target.password === '') return
    throw new ClawmeshError(
      'DENIED',
      `The MCP server ${url} would be spoken to in the clear, or with a password in its address.`,
      {
        hint: 'Use https://, and login for what it has to know.',
      },
    )
  }
  if (runs !== 'unsandboxed')
    throw new ClawmeshError('USAGE', `The MCP server ${name} does not say where it runs.`, {
      hint: "A server behind a URL is held by no sandbox of ours: say runs: 'unsandboxed' for one on this machine that may do all that it does, or 'elsewhere'.",
    })
  if (!isHere(target))
    throw new ClawmeshError('DENIED', `The MCP server ${url} is not on this machine.`, {
      hint: "Use http://127.0.0.1; for one on another machine say runs: 'elsewhere': what it is told is then judged by the privacy router.",
    })
}

/** Whether it has to be known what its tools are told: nothing holds what a server behind a URL does with it, nor one that may connect. */
export const isSink = (server: McpServer): boolean =>
  server.takes !== undefined ||
  'url' in server ||
  server.profile.network.length > 0 ||
  server.profile.ask.some(({ kind }) => kind === 'connect')

/** Why its tools may not be told what has this label, and is kept in the mesh by this rule if by one; undefined where they may. */
export function untold({ name, takes }: McpServer, label: Label, keptBy: string | undefined): string | undefined {
  if (takes !== undefined)
    return atLeast(takes, label) ? undefined : `mcp/${name} takes ${takes}, and what it would be told is ${label}`
  return keptBy === undefined
    ? undefined
    : `by the rule ${keptBy} this may not leave the mesh as it is, and mcp/${name} could tell it on`
}

export const ruleOf = ({ policy = {} }: McpServer, tool: string): Rule =>
  (Object.hasOwn(policy, tool) ? policy[tool] : policy['*']) ?? 'allow'
