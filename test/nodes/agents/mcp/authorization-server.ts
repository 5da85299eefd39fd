/** An MCP server behind TLS and the authorization server that it sends its clients to: OAuth 2.1 with registration, PKCE and refresh, as the MCP specification asks for it. */
import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { openTlsAuthority } from '../../../../nodes/authority/tls.js'

export interface Peer {
  url: string
  /** PEM. */
  trust: string
  /** Where it tells a client to log in; its own address unless told otherwise. */
  issuer: string
  /** Of each request. */
  readonly asked: string[]
  /** What was handed out is good no more. */
  expire(): void
  close(): Promise<void>
}

export async function openPeer(file: string): Promise<Peer> {
  const tls = openTlsAuthority(file, 'test', Date.now())
  const codes = new Map<string, string>()
  const good = new Set<string>()
  const asked: string[] = []
  const mcp = createMcpHandler(() => {
    const server = new McpServer({ name: 'peer', version: '1' })
    server.registerTool('whoami', { inputSchema: z.object({}) }, () => ({ content: [{ type: 'text', text: 'anna' }] }))
    return server
  })
  const grant = () => {
    const tokens = { access_token: randomUUID(), refresh_token: randomUUID(), token_type: 'Bearer', expires_in: 3600 }
    good.add(tokens.access_token).add(tokens.refresh_token)
    return tokens
  }
  const tokensFor = (form: URLSearchParams) => {
    const given = form.get('refresh_token') ?? form.get('code') ?? ''
    const challenge = codes.get(given)
    const proof = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (codes.delete(given) && challenge === proof) return grant()
    return good.delete(given) ? grant() : undefined
  }
  const routes: Record<string, (url: URL, body: string) => [number, object | string, Record<string, string>?]> = {
    '/.well-known/oauth-protected-resource/mcp': () => [
      200,
      { resource: `${peer.url}/mcp`, authorization_servers: [peer.issuer] },
    ],
    '/.well-known/oauth-authorization-server': () => [
      200,
      {
        issuer: peer.url,
        authorization_endpoint: `${peer.url}/authorize`,
        token_endpoint: `${peer.url}/token`,
        registration_endpoint: `${peer.url}/register`,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['none'],
      },
    ],
    '/register': (_, body) => [201, { ...JSON.parse(body), client_id: 'client-1' }],
    '/authorize': ({ searchParams }) => {
      const code = randomUUID()
      codes.set(code, searchParams.get('code_challenge') ?? '')
      const back = new URL(searchParams.get('redirect_uri') ?? '')
      back.search = String(new URLSearchParams({ code, state: searchParams.get('state') ?? '' }))
      return [302, '', { location: back.href }]
    },
    '/token': (_, body) => {
      const tokens = tokensFor(new URLSearchParams(body))
      return tokens ? [200, tokens] : [400, { error: 'invalid_grant' }]
    },
  }
  const answer = async (request: IncomingMessage, reply: ServerResponse): Promise<unknown> => {
    const url = new URL(request.url ?? '/', peer.url)
    let body = ''
    for await (const piece of request) body += piece
    asked.push(`${request.method} ${url.pathname}`)
    const route = routes[url.pathname]
    if (route) {
      const [status, said, headers = {}] = route(url, body)
      reply.writeHead(status, { 'content-type': 'application/json', ...headers })
      return reply.end(typeof said === 'string' ? said : JSON.stringify(said))
    }
    if (url.pathname !== '/mcp') return reply.writeHead(404).end()
    const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? []
    if (!good.has(token))
      return reply
        .writeHead(401, {
          'www-authenticate': `Bearer resource_metadata="${peer.url}/.well-known/oauth-protected-resource/mcp"`,
        })
        .end()
    const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)])
    const given = await mcp.fetch(
      new Request(url, { method: request.method ?? 'GET', headers, ...(body ? { body } : {}) }),
    )
    return reply.writeHead(given.status, Object.fromEntries(given.headers)).end(await given.text())
  }
  const { certificate: cert, key } = tls.issue('peer', ['localhost', '127.0.0.1'], Date.now())
  const server = createServer({ cert, key }, (request, reply) => {
    answer(request, reply).catch((error) => reply.destroy(error))
  })
  const peer: Peer = {
    url: '',
    issuer: '',
    trust: tls.certificate,
    asked,
    expire: () => good.clear(),
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  peer.url = `https://localhost:${(server.address() as AddressInfo).port}`
  peer.issuer = peer.url
  return peer
}
