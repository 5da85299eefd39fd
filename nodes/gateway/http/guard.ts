/** Who is let in: decided by the head of a request alone, before a byte of its body is read. */
import type { FastifyRequest } from 'fastify'
import { type People, whyRefused } from '../../../policies/people.js'
import { isOpen, type Route, routeNames, ruleOn } from '../route.js'
import type { ApiKeys, Principal } from './keys.js'
import type { RateLimit } from './rate.js'
import { Refusal } from './refusal.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key it has; undefined on routes that are open to anyone. */
    principal: Caller | undefined
  }
}

export interface Caller extends Principal {
  /** The policies that let him in. */
  readonly by: readonly string[]
}

export const routeOf = ({ method, routeOptions: { url } }: FastifyRequest): Route | undefined =>
  routeNames.find((name) => name === `${method} ${url}`)

export interface Guard {
  /** Says who asks, or throws why nobody is let in. What is no route is told only to those who have a key. */
  admit(request: FastifyRequest): Caller | undefined
  /** The same of a request that was let in before, for what takes long: its key may have been removed, or have ended, or the policies may be others. */
  again(request: FastifyRequest): Caller
}

/** `answersTo`: whether a Host header is one of ours; `scheme`: by which it is reached. */
export function guardOf(
  keys: ApiKeys,
  people: () => People,
  rates: RateLimit,
  { answersTo, scheme }: { answersTo: (host: string) => boolean; scheme: 'http' | 'https' },
): Guard {
  const who = (request: FastifyRequest, route: Route | undefined): Caller => {
    const principal = authenticate(keys, request.headers.authorization)
    if (route === undefined) return { ...principal, by: [] }
    const ruling = ruleOn(people(), principal, route, request.params)
    if (ruling.allowed) return { ...principal, by: ruling.by }
    const why = whyRefused(ruling)
    throw new Refusal(403, 'DENIED', `A key with the role ${principal.role} may not use ${route}: ${why}.`)
  }
  const admit = (request: FastifyRequest) => {
    refuseOtherPages(request, answersTo, scheme)
    const route = routeOf(request)
    if (route !== undefined && isOpen(route)) return undefined
    const principal = who(request, route)
    const waitMs = rates.take(principal.name, performance.now())
    if (waitMs === 0) return principal
    const seconds = Math.ceil(waitMs / 1000)
    throw new Refusal(429, 'RATE_LIMITED', `This key asks too often. Ask again in ${seconds} s.`, {
      'retry-after': String(seconds),
    })
  }
  return { admit, again: (request) => who(request, routeOf(request)) }
}

/** A page in a browser of this machine may not talk to the gateway: neither one of another origin, nor one whose name was pointed here. */
function refuseOtherPages(
  { headers, raw }: FastifyRequest,
  answersTo: (host: string) => boolean,
  scheme: string,
): void {
  const { host = '', origin, 'sec-fetch-site': site = 'none' } = headers
  // Of two, somebody on the way may have gone by the other one.
  const hosts = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  if (hosts.length > 1) throw new Refusal(400, 'MESSAGE_INVALID', 'The request cannot be used: it names two hosts.')
  if (!answersTo(host))
    throw new Refusal(
      403,
      'DENIED',
      'The gateway answers to the names of this machine only (127.0.0.1, [::1], localhost; over TLS those of its certificate).',
    )
  const isForeign =
    (origin !== undefined && origin !== `${scheme}://${host}`) || !['none', 'same-origin'].includes(String(site))
  if (isForeign) throw new Refusal(403, 'DENIED', 'Pages of other origins may not use the gateway.')
}

function authenticate(keys: ApiKeys, header: string | undefined): Principal {
  const [, given] = /^Bearer (\S+)$/i.exec(header ?? '') ?? []
  const found = given === undefined ? undefined : find(keys, given)
  if (found !== undefined && found !== 'expired') return found
  const why =
    given === undefined ? 'There is no key' : found === 'expired' ? 'This key has expired' : 'This key is not known'
  throw new Refusal(
    401,
    'UNAUTHENTIC',
    `${why}. \`clawmesh keys add\` makes one: send it as Authorization: Bearer cm_…`,
    {
      'www-authenticate': 'Bearer',
    },
  )
}

/** A file of keys that cannot be read is this server's own fault, and none of the caller's business. */
function find(keys: ApiKeys, given: string): ReturnType<ApiKeys['find']> {
  try {
    return keys.find(given, Date.now())
  } catch (cause) {
    throw new Error('the file of the keys cannot be read', { cause })
  }
}
