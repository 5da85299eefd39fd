/** The way to an MCP server: the pipes of a program that is started in its sandbox for it, or HTTP. */
import type { MeshNode, Self } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { Egress } from '../../../sandbox/egress/egress.js'
import { governedEgress } from '../../../sandbox/egress/governed.js'
import { resolver } from '../../../sandbox/egress/resolve.js'
import { governedOpens } from '../../../sandbox/opens/governed.js'
import { Opens } from '../../../sandbox/opens/opens.js'
import type { LaunchPlan } from '../../../sandbox/plan.js'
import { Pool } from '../../../sandbox/pool.js'
import { planResident, startResident } from '../../../sandbox/resident.js'
import { readConfig } from '../../config.js'
import type { McpTransport } from './connection.js'
import type { LoginFile } from './login-file.js'
import { fetchOf } from './outbound.js'
import type { McpServer, StdioServer, UrlServer } from './server.js'

interface Start {
  node: MeshNode
  self: Self
  trace: string
  login: LoginFile | undefined
  /** Awaited before anything is started or dialled: the audit stream has it. */
  before: () => Promise<void>
}

interface Way {
  transport: McpTransport
  /** How a program ended, in words. */
  ended?: Promise<string>
}

/** The protocol is loaded when it is wanted. Throws UNAUTHENTIC where a login is missing, and what the start of a program throws. */
export async function wayTo(server: McpServer, start: Start): Promise<Way> {
  if ('url' in server) return { transport: await overHttp(server, start) }
  const { self, before } = start
  const { ResidentTransport } = await import('./transport.js')
  const plan = await planResident(server)
  await before()
  // Of one worker, whose control group it removes. It ends after the program, which may be told to stop and still has its end to tell.
  const pool = new Pool({ idle: 0 })
  const resident = await startResident(plan, { pool, signal: self.signal, ...heldBy(server, plan, start) }).catch(
    (error) => {
      pool.close()
      throw error
    },
  )
  void resident.ended.catch(() => undefined).then(() => pool.close())
  const ended = resident.ended.catch((error: unknown) => ClawmeshError.from(error).message)
  return { transport: new ResidentTransport(resident, plan.limits.output_bytes), ended }
}

async function overHttp(server: UrlServer, { login: file, before }: Start): Promise<McpTransport> {
  const [{ StreamableHTTPClientTransport }, login] = await Promise.all([
    import('@modelcontextprotocol/client'),
    server.login && import('./login-provider.js'),
  ])
  await before()
  const fetch = fetchOf(server, resolver(readConfig().nameServers))
  const options =
    server.login && file && login
      ? { authProvider: login.providerOf(server.name, server.login, file, fetch), ...login.issuerCheck(server.login) }
      : {}
  return new StreamableHTTPClientTransport(new URL(server.url), { fetch, ...options }) as McpTransport
}

/** What the server connects to, and what it opens beyond its policy, is decided as for any action; it lives longer than the call that started it. */
function heldBy(server: StdioServer, { program, folder, mounts }: LaunchPlan, { node, self, trace }: Start) {
  const { name: tool, signal } = self
  const { profile, workspace, args = [], env, command } = server
  const action = { tool, args: { args }, workspace, trace, actor: tool, signal, deadline: Number.POSITIVE_INFINITY }
  const names = [`tool:${tool}`, ...(command === 'node' ? ['tool:node'] : [])]
  const own = { program, names, args, folder, env }
  const hooks = governedEgress(node, resolver(readConfig().nameServers), action)
  const files = governedOpens(node, action)
  return {
    egress: new Egress({ ...hooks, profile, workspace, own }),
    opens: new Opens({ ...files, profile, workspace, mounts, own }),
  }
}
