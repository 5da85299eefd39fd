/**
 * MCP over streamable HTTP. Who speaks the protocol of 2025 and begins with `initialize` has a session (sessions.ts); any other request stands by itself, so it may meet another
 * gateway.
 */
import { createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import type { People } from '../../../policies/people.js'
import type { DataSubject } from '../../data-subject.js'
import type { GatewayLimits } from '../http/limits.js'
import { Refusal } from '../http/refusal.js'
import type { Slots } from '../http/stream.js'
import { untilGone } from '../openai/completion.js'
import type { Offered } from './offered.js'
import { mcpServer } from './server.js'
import type { Sessions } from './sessions.js'
import type { Talks } from './talk.js'
import type { Serving } from './used.js'

export interface McpDesk {
  node: MeshNode
  offered: () => Promise<Offered>
  talks: Talks
  sessions: Sessions
  people: () => People
  /** Is told what somebody was refused, and from which address. */
  refused: (why: string, address: string) => void
  limits: GatewayLimits
  /** Whom it is about what a key asks for; undefined where there is no authority. */
  aboutCaller: (key: string) => DataSubject | undefined
  /** Throws when whoever asked may no more. */
  again: (request: FastifyRequest) => void
  slots: Slots
  closing: AbortSignal
}

const checkMs = 15_000
const beginsSchema = z.object({ method: z.literal('initialize') })

export async function answerMcp(desk: McpDesk, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { sessions, closing } = desk
  const { principal, body } = request
  if (!principal) throw new Refusal(401, 'DENIED', 'There is no key.')
  const signal = AbortSignal.any([closing, untilGone(reply)])
  const web = asWeb(request, signal)
  const serving = servingOf(desk, request)
  const answer = async () => {
    const known = sessionOf(request)
    if (known !== undefined) return inSession(desk, known, request, reply)(web, body)
    const begins = beginsSchema.safeParse(body).success && (await isLegacyRequest(web, body))
    if (begins) return sessions.begin(principal, mcpServer(serving, { era: 'legacy', lasts: true }), web, body)
    return createMcpHandler(({ era }) => mcpServer(serving, { era, lasts: false })).fetch(web, { parsedBody: body })
  }
  const given = await answer().catch((error: unknown) => {
    throw signal.aborted ? new Refusal(499, 'CANCELLED', 'The answer is not wanted any more.') : error
  })
  return reply.send(given)
}

/** What a session is told of without having asked, for as long as its client stays and may. */
export async function followMcp(desk: McpDesk, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const id = sessionOf(request)
  if (id === undefined) throw new Refusal(405, 'MESSAGE_INVALID', 'POST, or a session: this request has none.', allow)
  const release = desk.slots.take(request.principal?.name ?? '')
  const check = setInterval(() => {
    try {
      desk.again(request)
    } catch {
      reply.raw.destroy()
    }
  }, checkMs)
  reply.raw.once('close', () => {
    clearInterval(check)
    release()
  })
  const signal = AbortSignal.any([desk.closing, untilGone(reply)])
  return reply.send(await inSession(desk, id, request, reply)(asWeb(request, signal), undefined))
}

export async function endMcp(desk: McpDesk, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const id = sessionOf(request)
  if (id === undefined) throw new Refusal(405, 'MESSAGE_INVALID', 'POST, or a session: this request has none.', allow)
  return reply.send(await inSession(desk, id, request, reply)(asWeb(request, desk.closing), undefined))
}

const allow = { allow: 'POST' }

function servingOf(desk: McpDesk, request: FastifyRequest): Serving {
  const { node, offered, talks, people, limits, aboutCaller, closing } = desk
  const { ip, principal } = request
  if (!principal) throw new Refusal(401, 'DENIED', 'There is no key.')
  const { name, role } = principal
  return {
    node,
    offered,
    talks,
    principal: { name, role },
    people,
    refused: (why) => desk.refused(why, ip),
    subject: aboutCaller(name),
    answerMs: limits.answerMs,
    closing,
  }
}

/** Throws 404 for a session that this caller does not have: the client begins a new one then. */
function inSession({ sessions }: McpDesk, id: string, { principal }: FastifyRequest, { raw }: FastifyReply) {
  const whenDone = (done: () => void) => void raw.once('close', done)
  const answer = principal && sessions.answer(id, principal, whenDone)
  if (answer) return answer
  throw new Refusal(404, 'NOT_FOUND', 'There is no such session (any more). Begin a new one with initialize.')
}

function sessionOf({ headers }: FastifyRequest): string | undefined {
  const given = headers['mcp-session-id']
  return typeof given === 'string' ? given : undefined
}

const asWeb = ({ method, headers }: FastifyRequest, signal: AbortSignal): Request =>
  new Request(`http://${headers.host}/mcp`, { method, headers: plain(headers), signal })

/** The key goes no further than the guard. */
const plain = (headers: FastifyRequest['headers']): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined || name === 'authorization' ? [] : [[name, String(value)]],
  )
