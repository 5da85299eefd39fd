/**
 * A person's login into an MCP server: the authorization server is found, or the identity provider of the person's organisation is named, the person says yes in a browser, and what comes
 * back to this machine is changed for tokens.
 *
 *     await logIn(server, file, { open: (url) => progress(`Open ${url}`), signal })
 *
 * 1. The answer is waited for on loopback alone, under a number that nobody can guess; any other request is told nothing.
 * 2. Tokens are in the sealed file before this resolves, and nowhere else.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  auth,
  Client,
  type FetchLike,
  StreamableHTTPClientTransport,
  type Transport,
} from '@modelcontextprotocol/client'
import { ClawmeshError } from '../../../policies/errors.js'
import { productVersion } from '../../version.js'
import { Identity } from './identity.js'
import type { LoginOf } from './login.js'
import type { LoginFile } from './login-file.js'
import { issuerCheck, PersonLogin, providerOf } from './login-provider.js'

export interface Sitting {
  /** Shows a person the address at which to say yes. */
  open: (url: URL) => void
  /** Where the answer comes to on this machine: any free port, unless the client is registered with one. */
  port?: number
  signal: AbortSignal
}

interface Reached {
  name: string
  url: string
  login: LoginOf<'person' | 'employee'>
  fetch: FetchLike
}

/** Rejects with UNAUTHENTIC where the person or the server says no, and as the signal does. */
export async function logIn(server: Reached, file: LoginFile, { open, port = 0, signal }: Sitting): Promise<void> {
  const state = randomBytes(24).toString('base64url')
  const desk = await openDesk(port, state)
  const redirect = `http://127.0.0.1:${desk.port}/callback`
  const answered = async () => {
    const answer = await desk.answered(signal)
    const refusal = answer.get('error')
    if (refusal === null) return answer
    throw new ClawmeshError('UNAUTHENTIC', `The login into ${server.name} was refused: ${refusal}.`)
  }
  const fetch: FetchLike = (url, init = {}) =>
    server.fetch(url, { ...init, signal: AbortSignal.any(init.signal ? [signal, init.signal] : [signal]) })
  const { login, ...reached } = { ...server, fetch }
  const sitting = { redirect, state, open, answered }
  try {
    if (login.as === 'person') await asPerson({ ...reached, login }, file, sitting)
    else await asEmployee({ ...reached, login }, file, sitting)
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof ClawmeshError) throw cause
    const why = (cause as Error).message.slice(0, 500)
    throw new ClawmeshError('UNAUTHENTIC', `Nobody could log into the MCP server ${server.name}: ${why}`, { cause })
  } finally {
    desk.close()
  }
}

interface Seat {
  redirect: string
  state: string
  open: (url: URL) => void
  answered: () => Promise<URLSearchParams>
}

async function asPerson(
  { login, url, fetch }: Reached & { login: LoginOf<'person'> },
  file: LoginFile,
  { redirect, state, open, answered }: Seat,
): Promise<void> {
  let isAsked = false
  const show = (address: URL) => {
    isAsked = true
    open(address)
    return undefined
  }
  const { wanted, tokens } = file.read()
  // One that registered itself did so with the port of that time.
  file.change({ client: undefined, ...(wanted === undefined ? { tokens: undefined, discovery: undefined } : {}) })
  const provider = new PersonLogin(login, file, { redirect, state, open: show })
  const check = issuerCheck(login)
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider, fetch, ...check })
  if (wanted !== undefined && tokens !== undefined)
    await auth(provider, { serverUrl: url, scope: wanted, fetchFn: fetch, forceReauthorization: true, ...check })
  else await provoke(transport).catch((error: unknown) => isAsked || Promise.reject(error))
  if (isAsked) await transport.finishAuth(await answered())
}

/** The server is asked once, so that whoever may not use it hears so now. */
async function asEmployee(
  { name, login, url, fetch }: Reached & { login: LoginOf<'employee'> },
  file: LoginFile,
  { redirect, state, open, answered }: Seat,
): Promise<void> {
  const ask = (address: URL) => {
    open(address)
    return answered()
  }
  await new Identity(name, login.idp, file, fetch).signIn({ redirect, state, ask })
  const authProvider = providerOf(name, login, file, fetch)
  await provoke(new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch }))
}

/** Asks for what takes a login: some servers let anybody begin. */
async function provoke(transport: StreamableHTTPClientTransport): Promise<void> {
  const client = new Client({ name: 'clawmesh', version: productVersion })
  try {
    await client.connect(transport as Transport)
    await client.listTools()
  } finally {
    await client.close()
  }
}

interface Desk {
  port: number
  /** The first answer that carries the number. */
  answered(signal: AbortSignal): Promise<URLSearchParams>
  close(): void
}

const here = 'http://127.0.0.1'

async function openDesk(port: number, state: string): Promise<Desk> {
  let settle: (answer: URLSearchParams) => void = () => undefined
  const answer = new Promise<URLSearchParams>((resolve) => {
    settle = resolve
  })
  const server: Server = createServer((request, reply) => {
    // Any page that the person has open can ask for anything here, and what is no address must not end the login.
    const { url = '/' } = request
    const asked = URL.canParse(url, here) ? new URL(url, here) : undefined
    const searchParams = asked?.searchParams
    const isOurs = request.method === 'GET' && asked?.pathname === '/callback' && searchParams?.get('state') === state
    reply.writeHead(isOurs ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
    reply.end(isOurs ? 'This machine has heard it. You can close this page.' : 'Not here.')
    if (isOurs && searchParams) settle(searchParams)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    answered: (signal) =>
      new Promise((resolve, reject) => {
        const gone = () => reject(signal.reason)
        if (signal.aborted) return gone()
        signal.addEventListener('abort', gone, { once: true })
        void answer.then(resolve)
      }),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
