/** Somebody else's server, behind TLS on this machine. What it is told, it keeps. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { openTlsAuthority } from '../../../../nodes/authority/tls.js'

export interface TlsPeer {
  url: string
  /** PEM; the same for all that were opened with one file. */
  trust: string
  /** Method and path of each request. */
  readonly asked: string[]
  /** Headers and body of each, as one text. */
  readonly told: string[]
  close(): Promise<void>
}

export type Answer = (request: Request, body: string) => Response | Promise<Response>

/** `file`: of the authority for its certificate. */
export async function openTlsPeer(file: string, answer: Answer): Promise<TlsPeer> {
  const tls = openTlsAuthority(file, 'test', Date.now())
  const { certificate: cert, key } = tls.issue('peer', ['localhost', '127.0.0.1'], Date.now())
  const server = createServer({ cert, key }, async (incoming, reply) => {
    try {
      const { method = 'GET', headers } = incoming
      const url = new URL(incoming.url ?? '/', peer.url)
      let body = ''
      for await (const piece of incoming) body += piece
      peer.asked.push(`${method} ${url.pathname}`)
      peer.told.push(`${JSON.stringify(headers)}\n${body}`)
      const named = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)])
      const given = await answer(new Request(url, { method, headers: named, ...(body ? { body } : {}) }), body)
      reply.writeHead(given.status, Object.fromEntries(given.headers)).end(await given.text())
    } catch (error) {
      reply.destroy(error as Error)
    }
  })
  const peer: TlsPeer = {
    url: '',
    trust: tls.certificate,
    asked: [],
    told: [],
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  peer.url = `https://localhost:${(server.address() as AddressInfo).port}`
  return peer
}

/** A client's number and secret, as it showed them: in the header for it or in the form. */
export function clientOf(request: Request, form: URLSearchParams): string {
  const [, basic] = /^Basic (.+)$/.exec(request.headers.get('authorization') ?? '') ?? []
  return basic === undefined
    ? `${form.get('client_id')}:${form.get('client_secret') ?? ''}`
    : Buffer.from(basic, 'base64').toString()
}
