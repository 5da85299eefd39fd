/**
 * MCP servers as a person writes them down, for a machine to run:
 *
 *     servers:
 *       files:
 *         command: node
 *         args: [/srv/files/server.mjs]
 *         code: [/srv/files]
 *         sandbox: mcp-server          # a preset or a policy file
 *         policy: { delete: refuse, '*': allow }
 *         label: INTERNAL
 *       notes: { url: 'http://127.0.0.1:9000/mcp', runs: unsandboxed }
 *       wiki: { url: 'https://wiki.example.org/mcp', runs: elsewhere, login: { as: person }, hosts: [login.example.org] }
 *
 * Paths are meant from the folder of the file. Each server is in the end what `serveMcp` takes, with the text of its policy.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import { parseProfile } from '../../../policies/profile.js'
import { labels } from '../../../policies/router-label.js'
import { readPolicy } from '../../../sandbox/preset.js'
import { loginSchema } from './login.js'
import { checkServer, type McpServer } from './server.js'

const common = {
  policy: z.record(z.string(), z.enum(['allow', 'ask', 'refuse'])).optional(),
  label: z.enum(labels).optional(),
  takes: z.enum(labels).optional(),
  startMs: z.int().positive().optional(),
  callMs: z.int().positive().optional(),
}
const stdio = {
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  code: z.array(z.string()).default([]),
  ...common,
}
const login = loginSchema.optional()
const local = z.strictObject({ url: z.url(), runs: z.literal('unsandboxed'), login, ...common })
const remote = z.strictObject({
  url: z.url(),
  runs: z.literal('elsewhere'),
  login,
  hosts: z.array(z.string().min(1)).optional(),
  addresses: z.array(z.string().min(1)).optional(),
  /** A file of certificates, where a person writes it; its text, where a process is told it. */
  trust: z.string().optional(),
  ...common,
})
const behindUrl = z.discriminatedUnion('runs', [local, remote])

const program = z.strictObject({
  ...stdio,
  workspace: z.string().optional(),
  sandbox: z.string().default('mcp-server'),
})

const fileSchema = z.strictObject({ servers: z.record(z.string(), z.looseObject({})) })

/** As a node process is told it. */
export const mcpPlanSchema = z.union([
  z.object({
    name: z.string(),
    ...stdio,
    workspace: z.string(),
    sandbox: z.object({ name: z.string(), text: z.string() }),
  }),
  z.object({ name: z.string(), ...local.shape }),
  z.object({ name: z.string(), ...remote.shape }),
])
export type McpPlan = z.output<typeof mcpPlanSchema>

/** `workspace`: of a server that names none. Throws USAGE, naming file and field, and POLICY_INVALID. */
export async function readMcpFile(path: string, workspace: string): Promise<McpPlan[]> {
  const parsed = fileSchema.safeParse(fromYaml(path))
  if (!parsed.success) throw invalid(path, z.prettifyError(parsed.error))
  const from = dirname(resolve(path))
  const plans = Object.entries(parsed.data.servers).map(async ([name, given]): Promise<McpPlan> => {
    if ('url' in given) {
      const server = checked(path, name, behindUrl, given)
      if (server.runs === 'unsandboxed' || server.trust === undefined) return { name, ...server }
      return { name, ...server, trust: readText(path, resolve(from, server.trust)) }
    }
    const { sandbox, ...rest } = checked(path, name, program, given)
    const policy = await readPolicy(sandbox.includes('/') ? resolve(from, sandbox) : sandbox)
    return {
      name,
      ...rest,
      // An argument that begins like a path of this folder is one; any other is the program's own business.
      args: rest.args.map((arg) => (/^\.{1,2}\//.test(arg) ? resolve(from, arg) : arg)),
      code: rest.code.map((each) => resolve(from, each)),
      workspace: rest.workspace === undefined ? workspace : resolve(from, rest.workspace),
      sandbox: { name: policy.name, text: policy.text },
    }
  })
  const read = await Promise.all(plans)
  for (const plan of read) checkServer(serverOf(plan))
  return read
}

function checked<S extends z.ZodType>(path: string, name: string, schema: S, given: unknown): z.output<S> {
  const read = schema.safeParse(given)
  if (read.success) return read.data
  throw invalid(path, `${name}: ${z.prettifyError(read.error)}`)
}

/** What `serveMcp` takes. */
export function serverOf(plan: McpPlan): McpServer {
  if ('url' in plan) return said(plan)
  const { sandbox, ...program } = plan
  return { ...said(program), profile: parseProfile(sandbox.text, sandbox.name) }
}

/** What is not said is left out. */
const said = <T extends object>(given: T) =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }

function readText(path: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw invalid(path, (cause as Error).message, cause)
  }
}

function fromYaml(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'), { uniqueKeys: true })
  } catch (cause) {
    throw invalid(path, (cause as Error).message.split('\n')[0] ?? '', cause)
  }
}

const invalid = (path: string, why: string, cause?: unknown) =>
  new ClawmeshError('USAGE', `The file of MCP servers ${path} cannot be used: ${why}`, {
    hint: 'docs/mcp.md shows one.',
    cause,
  })
