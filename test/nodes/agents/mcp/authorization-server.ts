/**
 * An MCP server behind TLS and the authorization server that it sends its clients to: OAuth 2.1 with registration, PKCE and refresh, as the MCP specification asks for it, and with grants of an
 * identity provider that it trusts (SEP-990). Its one tool, `whoami`, says whose token it was asked with.
 */
import { randomUUID } from 'node:crypto'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { Codes } from './code.js'
import type { Organisation } from './identity-provider.js'
import { verified } from './jwt.js'
import { type Answer, clientOf, openTlsPeer, type TlsPeer } from './tls-peer.js'

export interface Peer extends TlsPeer {
  /** Where it tells a client to log in; its own address unless told otherwise. */
  issuer: string
  /** What it calls itself, and where it says it is asked; its own address unless told otherwise. */
  calls: string
  endpoints: string
  /** Whose grants it takes, from which client. */
  trusts?: { organisation: Organisation; client: string; secret: string }
  /** The tokens that were handed out are good no more; those that renew them are. */
  expire(): void
}

export async function openPeer(file: string): Promise<Peer> {
  const codes = new Codes()
  const people = new Map<string, string>()
  const renewable = new Map<string, string>()
  const mcp = (person: string) =>
    createMcpHandler(() => {
      const server = new McpServer({ name: 'peer', version: '1' })
      server.registerTool('whoami', { inputSchema: z.object({}) }, () => ({
        content: [{ type: 'text', text: person }],
      }))
      return server
    })
  const grant = (person: string | undefined) => {
    if (person === undefined) return Response.json({ error: 'invalid_grant' }, { status: 400 })
    const [access_token, refresh_token] = [randomUUID(), randomUUID()]
    people.set(access_token, person)
    renewable.set(refresh_token, person)
    return Response.json({ access_token, refresh_token, token_type: 'Bearer', expires_in: 3600 })
  }
  const renewed = (form: URLSearchParams) => {
    const token = form.get('refresh_token') ?? ''
    const person = renewable.get(token)
    renewable.delete(token)
    return person
  }
  const granted = (request: Request, form: URLSearchParams) => {
    const { organisation, client, secret } = peer.trusts ?? {}
    if (!organisation || clientOf(request, form) !== `${client}:${secret}`) return undefined
    const claims = verified(organisation.key, form.get('assertion') ?? '', 'oauth-id-jag+jwt')
    const isOurs = claims?.['aud'] === peer.calls && claims['resource'] === `${peer.url}/mcp`
    return isOurs && claims['client_id'] === client ? String(claims['sub']) : undefined
  }
  const routes: Record<string, Answer> = {
    '/.well-known/oauth-protected-resource/mcp': () =>
      Response.json({ resource: `${peer.url}/mcp`, authorization_servers: [peer.issuer] }),
    '/.well-known/oauth-authorization-server': () =>
      Response.json({
        issuer: peer.calls,
        authorization_endpoint: `${peer.endpoints}/authorize`,
        token_endpoint: `${peer.endpoints}/token`,
        registration_endpoint: `${peer.endpoints}/register`,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
      }),
    '/register': (_, body) => Response.json({ ...JSON.parse(body), client_id: 'client-1' }, { status: 201 }),
    '/authorize': ({ url }) => codes.redirect(new URL(url), 'anna'),
    '/token': (request, body) => {
      const form = new URLSearchParams(body)
      if (form.get('grant_type') === 'refresh_token') return grant(renewed(form))
      if (form.get('grant_type') === 'authorization_code') return grant(codes.take(form))
      return grant(granted(request, form))
    },
    '/mcp': (request) => {
      const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '') ?? []
      const person = people.get(token)
      if (person !== undefined) return mcp(person).fetch(request)
      const where = `Bearer resource_metadata="${peer.url}/.well-known/oauth-protected-resource/mcp"`
      return new Response(null, { status: 401, headers: { 'www-authenticate': where } })
    },
  }
  const answer: Answer = (request, body) =>
    routes[new URL(request.url).pathname]?.(request, body) ?? new Response(null, { status: 404 })
  const tls = await openTlsPeer(file, answer)
  const peer: Peer = Object.assign(tls, {
    issuer: tls.url,
    calls: tls.url,
    endpoints: tls.url,
    expire: () => people.clear(),
  })
  return peer
}
