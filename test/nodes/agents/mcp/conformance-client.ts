/**
 * The program that the conformance suite starts for each of its client scenarios: `node conformance-client.js URL`. It is the product's own way to a server, with somebody at it who
 * says yes to what a server proposes, and who logs in, in a browser, when the machine says that it takes that: twice at most, as a person would who is asked a third time.
 */
import { rmSync } from 'node:fs'
import { z } from 'zod'
import { actor, localMesh, on } from '../../../../mesh/index.js'
import { signingKey } from '../../../../mesh/seal/keys.js'
import { logIn } from '../../../../nodes/agents/mcp/authorize.js'
import { mcpName, serveMcp } from '../../../../nodes/agents/mcp/host.js'
import type { Login } from '../../../../nodes/agents/mcp/login.js'
import { LoginFile } from '../../../../nodes/agents/mcp/login-file.js'
import { fetchHere } from '../../../../nodes/agents/mcp/outbound.js'
import { callMcp, mcpTools } from '../../../../nodes/agents/mcp/tool.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { AskApproval } from '../../../../sandbox/approval.js'
import { temporaryFolder } from '../../../kit/mesh.js'

const url = process.argv.at(-1) ?? ''
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const given = z
  .looseObject({
    client_id: z.string(),
    client_secret: z.string(),
    private_key_pem: z.string(),
    idp_issuer: z.string(),
    idp_client_id: z.string(),
    idp_id_token: z.string(),
  })
  .partial()
  .parse(JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}'))
const argumentsOf: Record<string, Record<string, unknown>> = { add_numbers: { a: 5, b: 3 } }
const mostLogins = 2

const idp =
  given.idp_issuer === undefined || given.idp_client_id === undefined
    ? undefined
    : { issuer: given.idp_issuer, client: given.idp_client_id }

/** What a person is told who registers a client. */
async function issuer(): Promise<string> {
  const answer = await fetch(new URL('/.well-known/oauth-protected-resource/mcp', url))
  const [found] = z
    .object({ authorization_servers: z.array(z.string()) })
    .parse(await answer.json()).authorization_servers
  return found ?? ''
}

async function loginOf(): Promise<Login | undefined> {
  if (!scenario.startsWith('auth/')) return undefined
  const { client_id: client } = given
  if (client === undefined) return personsLogin()
  const known = { client, issuer: await issuer() }
  if (idp !== undefined) return { as: 'employee', ...known, idp }
  if (scenario.startsWith('auth/client-credentials'))
    return { as: 'program', ...known, ...(given.private_key_pem === undefined ? {} : { signs: 'ES256' }) }
  return { as: 'person', ...known }
}

function personsLogin(): Login {
  // Found at the server's own root, where it calls itself after where it is asked.
  if (scenario === 'auth/2025-03-26-oauth-metadata-backcompat')
    return { as: 'person', issuer: new URL('/oauth', url).href }
  if (scenario === 'auth/basic-cimd')
    return { as: 'person', client: 'https://conformance-test.local/client-metadata.json' }
  return { as: 'person' }
}

const folder = temporaryFolder()
const mesh = await localMesh()
try {
  await mesh.spawn(actor('approver', () => [on(AskApproval, () => ({ answer: 'allow' as const, by: 'anna' }))]))
  const login = await loginOf()
  const file = new LoginFile(folder, { name: 'peer', url }, signingKey())
  const secret = given.private_key_pem ?? given.client_secret
  if (secret !== undefined) file.change({ secret })
  // The suite's identity provider has had its person already.
  if (idp && given.idp_id_token !== undefined) file.change({ identity: { ...idp, idToken: given.idp_id_token } })
  const server = { name: 'peer', url, runs: 'unsandboxed' as const, ...(login ? { login } : {}) }
  await serveMcp(mesh, server, { login: file })
  for (let logins = 0; ; logins += 1) {
    const failure = await useAll()
    if (failure === undefined) break
    process.stdout.write(`${failure}\n`)
    if (logins === mostLogins || login?.as !== 'person' || !/asks for a login/.test(failure)) {
      process.exitCode = 1
      break
    }
    // A browser with a person in it: goes where it is sent, and says yes.
    const open = (address: URL) => void fetch(address).catch(() => undefined)
    await logIn({ name: 'peer', url, login, fetch: fetchHere }, file, { open, signal: AbortSignal.timeout(20_000) })
  }
} finally {
  await mesh.stop(mcpName('peer'))
  await mesh.close()
  rmSync(folder, { recursive: true, force: true })
}

/** Calls each tool once; why it could not, else. */
async function useAll(): Promise<string | undefined> {
  try {
    for (const tool of await mcpTools(mesh, 'peer')) {
      const { status, text } = await callMcp(mesh, tool, argumentsOf[tool.tool] ?? {}, {
        timeoutMs: 20_000,
        seen: { label: 'PUBLIC', categories: [] },
      })
      process.stdout.write(`${tool.tool}: ${status}: ${text}\n`)
      if (status !== 'done') return text
    }
    return undefined
  } catch (error) {
    return ClawmeshError.from(error).message
  }
}
