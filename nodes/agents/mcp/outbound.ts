/**
 * How a server behind a URL is reached, and whoever it sends us to for its login. What a server answers may name any address: only those that a person has named are dialled.
 *
 * 1. Of a server on this machine: loopback, and nothing else.
 * 2. Of one elsewhere: TLS, the hosts that are named, at the addresses that their names lead to now; a private one only where it is named itself. It is dialled at the very address
 *    that was looked at.
 */
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import type { FetchLike } from '@modelcontextprotocol/client'
import { ClawmeshError } from '../../../policies/errors.js'
import { refusalOf } from '../../../sandbox/egress/address.js'
import type { Resolve } from '../../../sandbox/egress/resolve.js'

/** Of one answer, a stream of notices included. */
const mostBytes = 16 * 1024 * 1024

const loopback = /^(127(\.\d{1,3}){3}|localhost|\[::1\])$/

/** Plain HTTP to a name or address of this machine. */
export const isHere = ({ protocol, hostname }: URL): boolean => protocol === 'http:' && loopback.test(hostname)

export interface Elsewhere {
  /** As in a URL, with the port where it is not 443. */
  hosts: readonly string[]
  /** Private addresses and networks that may be dialled all the same. */
  addresses?: readonly string[]
  /** Certificates of authorities to be trusted beside those that Node knows; PEM. */
  trust?: string | undefined
  resolve: Resolve
}

/** No redirect to another origin is followed: the SDK sees to that. */
export const fetchHere: FetchLike = async (url, init) => {
  const target = new URL(url)
  if (isHere(target)) return bounded(await fetch(target, init))
  throw new ClawmeshError('DENIED', `${target.origin} is not on this machine, and the MCP server is said to be.`, {
    hint: "A server that needs others is one elsewhere: say runs: 'elsewhere'.",
  })
}

export const fetchElsewhere =
  (elsewhere: Elsewhere): FetchLike =>
  async (url, init = {}) => {
    const target = new URL(url)
    const { host, protocol, hostname } = target
    if (protocol !== 'https:' || !elsewhere.hosts.includes(host))
      throw new ClawmeshError('DENIED', `${target.origin} is not named for this MCP server.`, {
        hint: `If it is to be asked, put it among its hosts: [${host}].`,
      })
    const address = await dialled(hostname, elsewhere)
    return answered(target, address, init, elsewhere.trust)
  }

export const fetchOf = (server: Reached, resolve: Resolve): FetchLike =>
  server.runs === 'unsandboxed'
    ? fetchHere
    : fetchElsewhere({ ...server, hosts: [new URL(server.url).host, ...(server.hosts ?? [])], resolve })

/** As a person says it of a server. */
export interface Reached extends Partial<Omit<Elsewhere, 'resolve'>> {
  url: string
  runs: 'unsandboxed' | 'elsewhere'
}

async function dialled(hostname: string, { resolve, addresses = [] }: Elsewhere): Promise<string> {
  const found = await resolve(hostname.replace(/^\[(.*)\]$/, '$1'))
  // A public one is dialled, a private one where it is named.
  const refusals = found.map((address) => refusalOf(address, []) && refusalOf(address, addresses))
  const chosen = found.find((_, index) => refusals[index] === undefined)
  if (chosen !== undefined) return chosen
  if (found.length === 0) throw new ClawmeshError('UNREACHABLE', `The name ${hostname} leads nowhere.`)
  throw new ClawmeshError('DENIED', `${hostname} leads to ${found[0]}, which is not dialled: ${refusals[0]}.`, {
    hint: 'If it is meant to, put the address among the addresses of the server.',
  })
}

function answered(target: URL, address: string, init: RequestInit, trust: string | undefined): Promise<Response> {
  const { method = 'GET', body, signal } = init
  const headers = Object.fromEntries(new Headers(init.headers))
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: address,
        // The certificate has to be that of the name, or where there is none, of the address.
        ...(isIP(target.hostname) === 0 ? { servername: target.hostname } : {}),
        port: target.port === '' ? 443 : target.port,
        path: `${target.pathname}${target.search}`,
        method,
        headers: { ...headers, host: target.host, 'accept-encoding': 'identity' },
        ...(trust === undefined ? {} : { ca: trust }),
        ...(signal ? { signal } : {}),
      },
      (incoming) => {
        try {
          resolve(responseOf(incoming, method))
        } catch (cause) {
          incoming.destroy()
          reject(new ClawmeshError('UNREACHABLE', `What ${target.host} answers cannot be read.`, { cause }))
        }
      },
    )
    outgoing.on('error', (cause) => {
      if (signal?.aborted) return reject(cause)
      reject(
        new ClawmeshError('UNREACHABLE', `${target.host} could not be reached: ${cause.message.trim()}.`, { cause }),
      )
    })
    outgoing.end(body === undefined || body === null ? undefined : String(body))
  })
}

/** Throws for what is no answer by HTTP: a number or a header that there is not. */
function responseOf(incoming: IncomingMessage, method: string): Response {
  const { statusCode: status = 0, statusMessage: statusText = '' } = incoming
  const headers = Object.entries(incoming.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  )
  const isEmpty = [204, 205, 304].includes(status) || method === 'HEAD'
  if (!isEmpty)
    return bounded(
      new Response(Readable.toWeb(incoming) as ReadableStream<Uint8Array>, {
        status,
        statusText,
        headers,
      }),
    )
  incoming.resume()
  return new Response(null, { status, statusText, headers })
}

/** Whoever answers without an end, or with little that unfolds to much, fills no memory here. */
function bounded(response: Response): Response {
  if (!response.body) return response
  let bytes = 0
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    transform: (piece, out) => {
      bytes += piece.length
      if (bytes > mostBytes) out.error(new Error(`the answer is longer than ${mostBytes} bytes`))
      else out.enqueue(piece)
    },
  })
  const { status, statusText, headers } = response
  return new Response(response.body.pipeThrough(limit), { status, statusText, headers })
}
