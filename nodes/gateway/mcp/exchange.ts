/** MCP over streamable HTTP, without sessions: each request stands by itself, so any of them may meet another gateway. */
import { createMcpHandler } from '@modelcontextprotocol/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { MeshNode } from '../../../mesh/index.js'
import type { People } from '../../../policies/people.js'
import type { DataSubject } from '../../data-subject.js'
import type { GatewayLimits } from '../http/limits.js'
import { Refusal } from '../http/refusal.js'
import { untilGone } from '../openai/completion.js'
import type { MeshTool } from './mesh-tool.js'
import { mcpServer } from './server.js'

export interface McpDesk {
  node: MeshNode
  tools: readonly MeshTool[]
  people: () => People
  /** Is told what somebody was refused, and from which address. */
  refused: (why: string, address: string) => void
  limits: GatewayLimits
  /** Whom it is about what a key asks for; undefined where there is no authority. */
  aboutCaller: (key: string) => DataSubject | undefined
  closing: AbortSignal
}

export async function answerMcp(desk: McpDesk, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { node, tools, people, limits, aboutCaller, closing } = desk
  const refused = (why: string) => desk.refused(why, request.ip)
  const { principal, headers, body } = request
  if (!principal) throw new Refusal(401, 'DENIED', 'There is no key.')
  const signal = AbortSignal.any([closing, untilGone(reply)])
  const subject = aboutCaller(principal.name)
  const handler = createMcpHandler(() =>
    mcpServer({ node, tools, principal, people, refused, subject, answerMs: limits.answerMs, closing: signal }),
  )
  const web = new Request(`http://${headers.host}/mcp`, { method: 'POST', headers: plain(headers), signal })
  const answer = await handler.fetch(web, { parsedBody: body }).catch((error: unknown) => {
    throw signal.aborted ? new Refusal(499, 'CANCELLED', 'The answer is not wanted any more.') : error
  })
  return reply.send(answer)
}

/** There are no sessions to follow or to end: a client that tries is told so in the words of the protocol. */
export function refuseSessions(server: FastifyInstance): void {
  const refuse = () => {
    throw new Refusal(405, 'MESSAGE_INVALID', 'POST only: there are no sessions.', { allow: 'POST' })
  }
  server.route({ method: ['GET', 'DELETE'], url: '/mcp', handler: refuse })
}

/** The key goes no further than the guard. */
const plain = (headers: FastifyRequest['headers']): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined || name === 'authorization' ? [] : [[name, String(value)]],
  )
