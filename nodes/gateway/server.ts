/**
 * The gateway: the mesh over HTTP, for programs that speak the OpenAI API and for whoever watches over it.
 *
 * 1. A request is let in by its head alone, before a byte of its body is read: where it comes from, whose key it has, what that key is for, how often it asks.
 * 2. A model is asked by `think`, as agents ask, so the same rule says which models may see a prompt; and only after the audit trail has the question.
 * 3. Whoever goes away is not worked for: the generation ends with the connection.
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { z } from 'zod'
import type { MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { servedModels, think, tokensOf } from '../agents/model.js'
import { log } from '../log.js'
import { type GatewayAddress, namesThisMachine } from './address.js'
import { type ChatHead, chunksOf, completionOf, generateRequestOf, parseChat } from './chat.js'
import { EventStream } from './event-stream.js'
import { ApiKeys, type Principal } from './keys.js'
import { Metrics } from './metrics.js'
import { type Rate, RateLimit } from './rate.js'
import { Refusal, refusalOf } from './refusal.js'
import { isOpen, mayUse, type Route, routeNames } from './route.js'

export interface GatewayLimits {
  /** Bytes of a body. */
  body: number
  /** Milliseconds in which the head of a request, and the whole of it, must have come. */
  headMs: number
  requestMs: number
  /** Milliseconds that an answer may take. */
  answerMs: number
  connections: number
  /** Of each key. */
  rate: Rate
}

export const usualLimits: GatewayLimits = {
  body: 1024 * 1024,
  headMs: 10_000,
  requestMs: 30_000,
  answerMs: 300_000,
  connections: 512,
  rate: { burst: 60, perSecond: 10 },
}

export interface GatewayOptions extends GatewayAddress {
  /** A node with the role gateway. It stays the caller's. */
  node: MeshNode
  /** The data folder, where the keys are. */
  data: string
  limits?: Partial<GatewayLimits>
}

export interface Gateway {
  readonly url: string
  /** Ends what is under way and lets go of the port. */
  close(): Promise<void>
}

export const nodesReplySchema = z.object({
  nodes: z.array(
    z.object({
      name: z.string(),
      roles: z.array(z.string()),
      /** What it serves, and where that computes; null for a node that serves none. */
      model: z.string().nullable(),
      zone: z.enum(['mesh', 'elsewhere']).nullable(),
      draining: z.boolean(),
    }),
  ),
})
export type NodesReply = z.output<typeof nodesReplySchema>

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key it has; undefined on routes that are open to anyone. */
    principal: Principal | undefined
  }
}

export async function openGateway({ node, data, host, port, limits: given }: GatewayOptions): Promise<Gateway> {
  const limits = { ...usualLimits, ...given }
  const metrics = new Metrics()
  const closing = new AbortController()
  const server = listener(limits)
  const guard = guardOf(new ApiKeys(data), new RateLimit(limits.rate))
  server.decorateRequest('principal', undefined)
  server.addHook('onRequest', async (request, reply) => {
    measure(request, reply, metrics)
    request.principal = guard(request)
  })
  const handlers: Record<Route, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
    'GET /healthz': () => ({ status: 'ok' }),
    'GET /readyz': () => readiness(node),
    'GET /metrics': (_, reply) => reply.type('text/plain; version=0.0.4').send(metrics.text(node.nodes().length)),
    'GET /v1/nodes': () => nodesOf(node),
    'GET /v1/models': () => modelsOf(node),
    'POST /v1/chat/completions': (request, reply) =>
      chat({ node, limits, metrics, closing: closing.signal }, request, reply),
  }
  for (const name of routeNames) {
    const [method = '', url = ''] = name.split(' ')
    server.route({ method, url, handler: async (request, reply) => handlers[name](request, reply) })
  }
  await server.listen({ host, port }).catch((cause: unknown) => {
    throw cannotListen(host, port, cause)
  })
  const { port: bound } = server.server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: async () => {
      closing.abort()
      await server.close()
    },
  }
}

function cannotListen(host: string, port: number, cause: unknown): ClawmeshError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new ClawmeshError('PORT_TAKEN', `The gateway cannot listen at ${host}:${port}: ${why}.`, {
    hint: 'Give --gateway another port; 0 takes any that is free.',
    cause,
  })
}

/** What takes connections in, with every limit that holds before a route is known. */
function listener(limits: GatewayLimits): FastifyInstance {
  const server = fastify({
    bodyLimit: limits.body,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.requestMs,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    http: {
      headersTimeout: limits.headMs,
      connectionsCheckingInterval: Math.max(50, limits.headMs / 4),
    },
    clientErrorHandler: ({ code }, socket) => {
      const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
      if (socket.writable && code !== 'ECONNRESET') socket.end(bareAnswer(status))
      else socket.destroy()
    },
    frameworkErrors: (error, _, reply) => refuse(error, reply),
  })
  server.server.maxConnections = limits.connections
  server.removeContentTypeParser('text/plain')
  server.setErrorHandler((error, _, reply) => refuse(error, reply))
  server.setNotFoundHandler(({ method, url }, reply) =>
    refuse(new Refusal(404, 'not_found', `There is no ${method} ${url.slice(0, 200)} here.`), reply),
  )
  return server
}

/** Of a request that was none. */
function bareAnswer(status: number): string {
  const why = STATUS_CODES[status] ?? 'Bad Request'
  const body = JSON.stringify(
    new Refusal(status, 'invalid_request', `This is no request that can be read: ${why}.`).body,
  )
  const head = `HTTP/1.1 ${status} ${why}\r\ncontent-type: application/json\r\nconnection: close`
  return `${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

function refuse(thrown: unknown, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(thrown)
  if (refusal.status === 500) log.error({ error: thrown }, 'the gateway failed')
  return reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
}

const routeOf = ({ method, routeOptions: { url } }: FastifyRequest): Route | undefined =>
  routeNames.find((name) => name === `${method} ${url}`)

/** Also of answers that are streamed or never sent. */
function measure(request: FastifyRequest, { raw }: FastifyReply, metrics: Metrics): void {
  const since = performance.now()
  raw.once('close', () => {
    const status = raw.writableFinished ? raw.statusCode : 499
    metrics.ended(routeOf(request) ?? 'none', status, (performance.now() - since) / 1000)
  })
}

/** Says who asks, or throws why nobody is let in. What is no route is told only to those who have a key. */
function guardOf(keys: ApiKeys, rates: RateLimit): (request: FastifyRequest) => Principal | undefined {
  return (request) => {
    refuseOtherPages(request)
    const route = routeOf(request)
    if (route !== undefined && isOpen(route)) return undefined
    const principal = authenticate(keys, request.headers.authorization)
    if (route !== undefined && !mayUse(principal.role, route))
      throw new Refusal(403, 'role_not_allowed', `A key with the role ${principal.role} may not use ${route}.`)
    const waitMs = rates.take(principal.name, performance.now())
    if (waitMs === 0) return principal
    const seconds = Math.ceil(waitMs / 1000)
    throw new Refusal(429, 'rate_limited', `This key asks too often. Ask again in ${seconds} s.`, {
      'retry-after': String(seconds),
    })
  }
}

/** A page in a browser of this machine may not talk to the gateway: neither one of another origin, nor one whose name was pointed here. */
function refuseOtherPages({ headers }: FastifyRequest): void {
  const { host = '', origin, 'sec-fetch-site': site = 'none' } = headers
  if (!namesThisMachine(host))
    throw new Refusal(403, 'host_not_allowed', 'The gateway answers to 127.0.0.1, [::1] and localhost only.')
  const isForeign =
    (origin !== undefined && origin !== `http://${host}`) || !['none', 'same-origin'].includes(String(site))
  if (isForeign) throw new Refusal(403, 'origin_not_allowed', 'Pages of other origins may not use the gateway.')
}

function authenticate(keys: ApiKeys, header: string | undefined): Principal {
  const [, given] = /^Bearer (\S+)$/i.exec(header ?? '') ?? []
  const found = given === undefined ? undefined : keys.find(given, Date.now())
  if (found !== undefined && found !== 'expired') return found
  const why =
    given === undefined ? 'There is no key' : found === 'expired' ? 'This key has expired' : 'This key is not known'
  throw new Refusal(
    401,
    'invalid_api_key',
    `${why}. \`clawmesh gateway key add\` makes one: send it as Authorization: Bearer cm_…`,
    {
      'www-authenticate': 'Bearer',
    },
  )
}

function readiness(node: MeshNode): object {
  const models = servedModels(node)
  if (models.length === 0) throw new Refusal(503, 'not_ready', 'No node serves a model yet.', { 'retry-after': '1' })
  return { status: 'ready', models: models.length }
}

const nodesOf = (node: MeshNode): NodesReply => ({
  nodes: node.nodes().map(({ name, roles, draining, advert: { model, zone } }) => ({
    name,
    roles: [...roles],
    model: typeof model === 'string' ? model : null,
    zone: typeof model !== 'string' ? null : zone === 'mesh' ? 'mesh' : 'elsewhere',
    draining,
  })),
})

/** Nobody in the mesh says when a model was made, so `created` is 0. */
const modelsOf = (node: MeshNode) => ({
  object: 'list',
  data: servedModels(node).map((id) => ({ id, object: 'model', created: 0, owned_by: 'clawmesh' })),
})

interface Desk {
  node: MeshNode
  limits: GatewayLimits
  metrics: Metrics
  /** The gateway is closing. */
  closing: AbortSignal
}

async function chat(desk: Desk, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { node, limits, metrics } = desk
  const asked = parseChat(request.body)
  const question = generateRequestOf(asked)
  const known = servedModels(node)
  if (known.length > 0 && !known.includes(asked.model))
    throw new Refusal(
      404,
      'model_not_found',
      `The mesh serves no model "${asked.model}". It serves ${known.join(', ')}.`,
    )
  const trace = randomUUID()
  const head: ChatHead = { id: `chatcmpl-${trace}`, created: Math.floor(Date.now() / 1000), model: asked.model }
  const signal = AbortSignal.any([desk.closing, untilGone(reply)])
  const stream = asked.stream ? new EventStream(reply, signal) : undefined
  const chunks = chunksOf(head, asked.stream_options?.include_usage === true)
  const note = (kind: 'gateway.asked' | 'gateway.answered', facts: Record<string, unknown>) =>
    node.note(kind, { key: request.principal?.name, ...facts }, trace, 'gateway')
  await note('gateway.asked', {
    role: request.principal?.role,
    model: asked.model,
    messages: question.messages.length,
    characters: question.messages.reduce((sum, { content }) => sum + content.length, 0),
    tools: question.tools?.map(({ name }) => name) ?? [],
    stream: stream !== undefined,
  })
  try {
    const answer = await think(node, question, {
      model: asked.model,
      deadline: node.now() + limits.answerMs,
      signal,
      trace,
      // What was sent cannot be taken back: an answer that breaks off is told so, not begun again.
      again: () => !stream?.hasBegun,
      onEvent: async (event) => {
        for (const chunk of stream ? chunks(event) : []) await stream?.send(JSON.stringify(chunk))
      },
    })
    metrics.used(answer.usage)
    await note('gateway.answered', { reason: answer.reason, tokens: tokensOf(answer.usage) })
    if (!stream) return completionOf(head, answer)
    await stream.send('[DONE]')
    return reply
  } catch (error) {
    const refusal = signal.aborted
      ? new Refusal(499, 'cancelled', 'The answer is not wanted any more.')
      : refusalOf(error)
    await note('gateway.answered', { error: refusal.code })
    if (!stream?.hasBegun) throw refusal.status === 500 ? error : refusal
    if (!signal.aborted) await stream.send(JSON.stringify(refusal.body))
    return reply
  } finally {
    stream?.end()
  }
}

/** Aborted when the client has gone away before it had its answer. */
function untilGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort()
  })
  return gone.signal
}
