/** `clawmesh mcp login NAME`: this machine's login into an MCP server that its file names. Secrets are typed or piped in; secrets and tokens are sealed, and shown to nobody. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { ClawmeshError } from '../../policies/errors.js'
import { resolver } from '../../sandbox/egress/resolve.js'
import type { Login } from '../agents/mcp/login.js'
import type { LoginFile } from '../agents/mcp/login-file.js'
import { readConfig } from '../config.js'
import { dataPaths } from '../data-folder.js'
import { nodeFiles } from '../member/member.js'
import { machineName, recallOffer } from '../member/offer.js'
import { type Command, text, type Values, whole } from './command.js'
import { dataFolder, dataOption, jsonOption } from './options.js'
import { readSecrets } from './secret.js'
import { stopOnSignal } from './stop.js'
import { progress } from './terminal.js'

const file = {
  type: 'string',
  value: 'FILE',
  help: 'the file of MCP servers (default: that of `up` or `join`)',
} as const

export const mcpLogin: Command = {
  name: 'mcp login',
  usage: 'NAME [--secret] [--idp-secret] [--json]',
  help: 'Logs this machine into the MCP server NAME of its file of servers, for the agents of the mesh: prints an address to open in a browser and waits for the yes, or, where it logs in as a program or with a token, takes that from standard input.',
  options: {
    secret: {
      type: 'boolean',
      help: 'the client is registered with a secret, which is read from standard input first',
    },
    'idp-secret': {
      type: 'boolean',
      help: 'the client at the identity provider is registered with a secret, which is read from standard input too, on a line after the other',
    },
    port: {
      type: 'string',
      value: 'PORT',
      help: 'where the answer of the browser is to come to, for a client that is registered with one (default: any free port)',
    },
    mcp: file,
    data: dataOption,
    json: jsonOption,
  },
  takes: 'NAME',
  run: async (name, values) => {
    const { server, login: file } = await placeOf(name, values)
    const { login } = server
    await takeSecrets(server.name, login, file, values)
    if (login.as === 'program' || login.as === 'token')
      return done(values, { server: server.name }, `Kept, sealed. ${server.name} is logged into when it is used next.`)
    const { logIn } = await import('../agents/mcp/authorize.js')
    const stop = stopOnSignal()
    const port = whole(values, 'port', 1024, 65_535)
    await logIn({ ...server, login }, file, {
      open: (url) => progress(`Open this address in a browser on this machine, and say yes there:\n${url}`),
      ...(port === undefined ? {} : { port }),
      signal: stop.signal,
    })
    return done(values, { server: server.name }, `Logged into ${server.name}. Its tools can be used from now on.`)
  },
}

/** Of the client at the server, of the client at the identity provider, of both or neither. */
async function takeSecrets(server: string, login: Login, file: LoginFile, values: Values): Promise<void> {
  const isAlone = login.as === 'program' || login.as === 'token'
  const isFirst = login.as === 'employee' && file.read().secret === undefined
  if (login.as === 'person' && values['secret'] === true && login.issuer === undefined) {
    const { unaddressed } = await import('../agents/mcp/login-provider.js')
    throw unaddressed(login.client ?? 'this client')
  }
  const takes: { what: string; keep: (secret: string) => void }[] = []
  if (isAlone || isFirst || values['secret'] === true)
    takes.push({
      what: `The secret of ${('client' in login ? login.client : undefined) ?? 'this client'} at ${server}`,
      keep: (secret) => file.change({ secret }),
    })
  if (values['idp-secret'] === true) {
    if (login.as !== 'employee')
      throw new ClawmeshError('USAGE', `The login of ${server} is by no identity provider.`, {
        hint: 'Leave --idp-secret out, or say in the file of MCP servers: login: { as: employee, …, idp: { issuer, client } }.',
      })
    const { issuer, client } = login.idp
    takes.push({
      what: `The secret of ${client} at ${issuer}`,
      keep: (secret) => file.change({ identity: { issuer, client, secret } }),
    })
  }
  const secrets = await readSecrets(takes.map(({ what }) => what))
  for (const [index, { keep }] of takes.entries()) keep(secrets[index] ?? '')
}

export const mcpLogout: Command = {
  name: 'mcp logout',
  usage: 'NAME [--json]',
  help: 'Forgets secret and tokens of the login into the MCP server NAME on this machine. What the server has been told stays there.',
  options: { mcp: file, data: dataOption, json: jsonOption },
  takes: 'NAME',
  run: async (name, values) => {
    const { server, login } = await placeOf(name, values)
    const wasKept = login.remove()
    const words = wasKept
      ? `The login into ${server.name} is forgotten here.`
      : `There is no login into ${server.name}.`
    return done(values, { server: server.name, wasKept }, words)
  },
}

function done(values: Values, facts: Record<string, unknown>, words: string): number {
  if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, ...facts })}\n`)
  else progress(words)
  return 0
}

async function placeOf(name: string | undefined, values: Values) {
  const data = dataFolder(values)
  const folder = dataPaths(data)
  const offer = recallOffer(data, {})
  const path = text(values, 'mcp') ?? offer.mcp
  if (path === undefined)
    throw new ClawmeshError('USAGE', `No file of MCP servers is known in ${data}.`, {
      hint: 'Name it with --mcp FILE, or the data folder with --data.',
    })
  const { readMcpFile, serverOf } = await import('../agents/mcp/file.js')
  const found = (await readMcpFile(path, offer.workspace ?? '.')).map(serverOf).find((each) => each.name === name)
  if (!found || !('url' in found) || !found.login)
    throw new ClawmeshError('USAGE', `${path} names no MCP server ${name ?? ''} that has a login.`, {
      hint: 'Give it one there: login: { as: person }.',
    })
  const node = [offer.name ?? machineName(), ...folder.nodes()].find(
    (each) => folder.nodes().includes(each) && existsSync(nodeFiles(folder, each).credentials),
  )
  if (node === undefined)
    throw new ClawmeshError('USAGE', `No node of a mesh has run in ${data} yet.`, {
      hint: 'Start it first, with `clawmesh up` or `join`: the login is sealed by its key.',
    })
  const { credentials } = nodeFiles(folder, node)
  const [{ LoginFile }, { fetchOf }] = await Promise.all([
    import('../agents/mcp/login-file.js'),
    import('../agents/mcp/outbound.js'),
  ])
  const fetch = fetchOf(found, resolver(readConfig().nameServers))
  return {
    server: { name: found.name, url: found.url, login: found.login, fetch },
    login: new LoginFile(dirname(credentials), found, readCredentials(credentials, undefined).signing),
  }
}
