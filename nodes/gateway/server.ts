/**
 * The gateway: the mesh over HTTP, for programs that speak the OpenAI API and for whoever watches over it.
 *
 *     const gateway = await openGateway({ node, data, host: '127.0.0.1', port: 8090 })
 *
 * 1. A request is let in by its head alone, before a byte of its body is read: where it comes from, whose key it has, what that key is for, how often it asks.
 * 2. A model is asked by `think`, as agents ask, so the same rule says which models may see a prompt; and only after the audit trail has the question.
 * 3. Whoever goes away is not worked for: the generation ends with the connection.
 */
import type { AddressInfo } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { nodeActorName } from '../../mesh/actor/system.js'
import { Refusals } from '../../mesh/calls/refusals.js'
import type { MeshNode } from '../../mesh/index.js'
import type { GatewayTls } from '../authority/gateway-tls.js'
import { dataSubject } from '../data-subject.js'
import { PeopleRecord, StandingPeople } from '../people.js'
import { type Call, callOf, type Handlers } from './call.js'
import { sendConsole } from './console.js'
import type { GatewayAddress } from './http/address.js'
import { guardOf, routeOf } from './http/guard.js'
import { KeyRecord } from './http/key-record.js'
import { ApiKeys } from './http/keys.js'
import { type GatewayLimits, usualLimits } from './http/limits.js'
import { openListener } from './http/listener.js'
import { Metrics } from './http/metrics.js'
import { cannotListen } from './http/port.js'
import { RateLimit } from './http/rate.js'
import { Forbidden, Refusal } from './http/refusal.js'
import { Slots } from './http/stream.js'
import { hostsOf } from './http/tls.js'
import { Catalogs } from './mcp/catalogs.js'
import { Desk } from './mcp/desk.js'
import { answerMcp, endMcp, followMcp } from './mcp/exchange.js'
import { meshResources } from './mcp/mesh-resource.js'
import { meshTools } from './mcp/mesh-tool.js'
import { Sessions } from './mcp/sessions.js'
import { Talks } from './mcp/talk.js'
import { parseChat } from './openai/chat.js'
import { complete } from './openai/completion.js'
import { answerEmbedding } from './openai/embedding.js'
import { parseText } from './openai/text.js'
import { openApi } from './openapi.js'
import { restOf, type Site } from './rest/rest.js'
import { TaskRuns } from './rest/tasks.js'
import { modelsOf, readiness } from './rest/view.js'
import { type Route, routeNames } from './route.js'

export interface GatewayOptions extends GatewayAddress {
  /** A node with the role gateway. It stays the caller's. */
  node: MeshNode
  /** The data folder, where the keys are. */
  data: string
  /** Where the authority is; without it there are no tasks and no audit trail to show. */
  site?: Site
  /** What it shows; without it, it speaks plain HTTP, which is for loopback alone. */
  tls?: GatewayTls | undefined
  limits?: Partial<GatewayLimits>
}

export interface Gateway {
  readonly url: string
  /** Ends what is under way, lets go of the port, and resolves when nothing of it needs the node any more. */
  close(): Promise<void>
}

/** Which of them it is, and so what it takes, is known where the call is made of the same route. */
type Handle = (call: Call<Route>) => unknown

export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { node, data, site, host, port, tls, limits: given } = options
  const scheme = tls ? 'https' : 'http'
  const limits = { ...usualLimits, ...given }
  const metrics = new Metrics()
  const closing = new AbortController()
  const server = openListener(limits, tls)
  const keys = new ApiKeys(data)
  const keyRecord = new KeyRecord(data, keys, (kind, facts) =>
    node.audit.intend({ kind, trace: '', actor: nodeActorName(node.name), facts }),
  )
  const refusals = new Refusals((facts) => node.note('gateway.refused', facts), 'address')
  const standing = await StandingPeople.open(data)
  // What does not hold now would let nobody in.
  void standing.now
  const people = () => {
    try {
      return standing.now
    } catch (cause) {
      // This server's own fault, and none of the caller's business.
      throw new Error('the policies of people do not hold', { cause })
    }
  }
  const peopleRecord = new PeopleRecord(node, standing)
  const guard = guardOf(keys, people, new RateLimit(limits.rate), { answersTo: hostsOf(tls), scheme })
  server.decorateRequest('principal', undefined)
  server.addHook('onRequest', async (request, reply) => {
    measure(request, reply, metrics)
    try {
      request.principal = guard.admit(request)
      // Keys and policies may be changed while that is written down: who it is, and what he may, goes by the very ones that the trail has.
      while (request.principal && !(keyRecord.isSettled() && peopleRecord.isSettled())) {
        await Promise.all([keyRecord.settle(), peopleRecord.settle()])
        request.principal = guard.again(request)
      }
    } catch (error) {
      if (error instanceof Refusal) refusals.count(error.code, error.message, request.ip)
      throw error
    }
  })
  const runs = site && new TaskRuns(node, site.tasks, site.workspace)
  const aboutCaller = (key: string | undefined) =>
    site && key !== undefined ? dataSubject(node, site.trail.authority.subjects, key) : undefined
  const rest = restOf({ node, guard, people, site, runs, aboutCaller, closing: closing.signal })
  const worked = site?.workspace === undefined ? undefined : runs
  const own = { tools: meshTools(node, worked), resources: meshResources(node, worked), prompts: [] }
  const mcpDesk = new Desk(node)
  const catalogs = new Catalogs(node, mcpDesk)
  const desk = { node, limits, metrics, people, aboutCaller, closing: closing.signal }
  const refused = (why: string, address: string) => refusals.count('DENIED', why, address)
  const mcp = {
    node,
    people,
    refused,
    limits,
    aboutCaller,
    offered: () => catalogs.beside(own),
    talks: new Talks(),
    sessions: new Sessions(closing.signal),
    again: (request: FastifyRequest) => void guard.again(request),
    slots: new Slots(),
    closing: closing.signal,
  }
  const handlers: Handlers = {
    ...rest,
    'GET /': ({ reply }) => sendConsole(reply, 'index.html'),
    'GET /console/:name': ({ params, reply }) => sendConsole(reply, params.name),
    'GET /healthz': () => ({ status: 'ok' }),
    'GET /readyz': () => readiness(node),
    'GET /openapi.json': () => openApi(people()),
    'GET /metrics': ({ reply }) => reply.type('text/plain; version=0.0.4').send(metrics.text(node.nodes())),
    'GET /v1/models': () => modelsOf(node),
    'POST /v1/chat/completions': ({ request, reply }) => complete(desk, request, reply, parseChat),
    'POST /v1/completions': ({ request, reply }) => complete(desk, request, reply, parseText),
    'POST /v1/embeddings': ({ request, reply }) => answerEmbedding(desk, request, reply),
    'POST /mcp': ({ request, reply }) => answerMcp(mcp, request, reply),
    'GET /mcp': ({ request, reply }) => followMcp(mcp, request, reply),
    'DELETE /mcp': ({ request, reply }) => endMcp(mcp, request, reply),
  }
  const underWay = new Set<Promise<unknown>>()
  for (const name of routeNames) {
    const [method = '', url = ''] = name.split(' ')
    const handler = (request: FastifyRequest, reply: FastifyReply) => {
      // Its body may have been long in coming, and other policies decide on what it names.
      const settle = async () => {
        // What does not hold is nothing that the caller should hear of.
        if (request.principal && people() && !peopleRecord.isSettled()) await peopleRecord.settle()
      }
      const work = settle().then(() => (handlers[name] as Handle)(callOf(name, request, reply)))
      underWay.add(work)
      work.catch((error: unknown) => {
        if (error instanceof Forbidden) refused(error.message, request.ip)
      })
      return work.finally(() => underWay.delete(work))
    }
    const bodyLimit = limits.body + (name === 'POST /v1/chat/completions' ? limits.images : 0)
    server.route({ method, url, handler, bodyLimit })
  }
  await server.listen({ host, port }).catch((cause: unknown) => {
    throw cannotListen({ host, port }, cause)
  })
  // What cannot be written down yet is tried again before the next request is let in.
  await Promise.allSettled([keyRecord.settle(), peopleRecord.settle()])
  const { port: bound } = server.server.address() as AddressInfo
  return {
    url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: async () => {
      closing.abort()
      await server.close()
      await Promise.allSettled(underWay)
      refusals.flush()
      await runs?.close()
      await mcpDesk.close()
    },
  }
}

/** Also of answers that are streamed or never sent. */
function measure(request: FastifyRequest, { raw }: FastifyReply, metrics: Metrics): void {
  const since = performance.now()
  raw.once('close', () => {
    const status = raw.writableFinished ? raw.statusCode : 499
    metrics.ended(routeOf(request) ?? 'none', status, (performance.now() - since) / 1000)
  })
}
