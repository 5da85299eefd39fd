/** The HTTP server, before any route: what it holds callers to, and how it says that something went wrong. */
import { STATUS_CODES } from 'node:http'
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import type { GatewayTls } from '../../authority/gateway-tls.js'
import { log } from '../../log.js'
import type { GatewayLimits } from './limits.js'
import { Refusal, refusalOf } from './refusal.js'

/** Nothing that is given out here may be kept, framed, guessed at, or load anything from elsewhere. */
export const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

export function openListener(limits: GatewayLimits, tls?: GatewayTls): FastifyInstance {
  const http = { headersTimeout: limits.headMs, connectionsCheckingInterval: Math.max(50, limits.headMs / 4) }
  const shown = tls && { cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2', handshakeTimeout: limits.headMs }
  const server = fastify({
    bodyLimit: limits.body,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.requestMs,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // One of the two is looked at.
    http,
    ...(shown ? { https: { ...http, ...shown } } : {}),
    clientErrorHandler: ({ code }, socket) => {
      const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
      if (socket.writable && code !== 'ECONNRESET') socket.end(bareAnswer(status))
      else socket.destroy()
    },
    frameworkErrors: (error, _, reply) => refuse(error, reply),
  })
  server.server.maxConnections = limits.connections
  server.removeContentTypeParser('text/plain')
  server.addHook('onRequest', async (_, reply) => void reply.headers(securityHeaders))
  server.setErrorHandler((error, _, reply) => refuse(error, reply))
  server.setNotFoundHandler(({ method, url }, reply) =>
    refuse(new Refusal(404, 'NOT_FOUND', `There is no ${method} ${url.slice(0, 200)} here.`), reply),
  )
  return server
}

/** Of a request that was none. */
function bareAnswer(status: number): string {
  const why = STATUS_CODES[status] ?? 'Bad Request'
  const body = JSON.stringify(
    new Refusal(status, 'MESSAGE_INVALID', `This is no request that can be read: ${why}.`).body,
  )
  const head = `HTTP/1.1 ${status} ${why}\r\ncontent-type: application/json\r\nconnection: close`
  return `${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

function refuse(thrown: unknown, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(thrown)
  if (refusal.status === 500) log.error({ err: thrown }, 'the gateway failed')
  return reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
}
