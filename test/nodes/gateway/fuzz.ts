/** Requests that nobody would send on purpose: each is answered with a code of the table, and the gateway never fails itself. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type Route, routeNames, specOf } from '../../../nodes/gateway/route.js'
import { errorCodes } from '../../../policies/errors.js'
import { seededRandom, wholeBelow } from '../../kit/random.js'
import { type Ask, ask, errorSchema, openStand, type Stand, shipped } from './stand.js'

/** How often each status came. */
export type Outcomes = Map<number, number>

export const sum = (outcomes: Outcomes, which: (status: number) => boolean): number =>
  [...outcomes].reduce((total, [status, count]) => total + (which(status) ? count : 0), 0)

const count = (outcomes: Outcomes, status: number) => outcomes.set(status, (outcomes.get(status) ?? 0) + 1)

type Pick = <T>(from: readonly T[]) => T
const pickBy =
  (random: () => number): Pick =>
  <T>(from: readonly T[]) =>
    from[wholeBelow(random, from.length)] as T

const good = { model: shipped, messages: [{ role: 'user', content: '12 + 7' }], temperature: 0, max_tokens: 16 }

/** Bodies, paths and keys of chat completions, nearly all malformed. */
export async function fuzzChat(stand: Stand, rounds: number, seed: number): Promise<Outcomes> {
  const random = seededRandom(seed)
  const pick = pickBy(random)
  const junk = [null, -1, 1e308, '', '\u0000', [], {}, [[]], true, 'x'.repeat(3000), { role: 'root' }]
  const fields = [...Object.keys(good), 'tools', 'tool_choice', 'stream', 'seed', 'n', 'stream_options', 'zz']
  const text = JSON.stringify(good)
  const body = () => {
    const way = random()
    if (way < 0.4) return JSON.stringify({ ...good, [pick(fields)]: pick(junk), [pick(fields)]: pick(junk) })
    if (way < 0.6) return text.slice(0, Math.floor(random() * text.length))
    if (way < 0.8) return JSON.stringify({ ...good, messages: [{ role: pick(junk), content: pick(junk) }] })
    return Buffer.from(Array.from({ length: 200 }, () => wholeBelow(random, 256)))
  }
  const paths = [
    '/v1/chat/completions',
    '/v1/chat/completions/',
    '/v1/%zz',
    '/../../etc/passwd',
    '/v1/models?x=%00',
    '//',
  ]
  const outcomes: Outcomes = new Map()
  for (let i = 0; i < rounds; i++) {
    const path = random() < 0.8 ? '/v1/chat/completions' : pick(paths)
    const key = random() < 0.8 ? stand.keyOf.developer : pick(['x', `cm_${'x'.repeat(43)}`, stand.keyOf.viewer])
    const method = pick(['POST', 'POST', 'POST', 'PUT', 'DELETE'])
    const reply = await ask(stand.url, path, { method, key, body: body() })
    count(outcomes, reply.status)
    // What came out well by chance is answered.
    if (reply.status === 200) continue
    assert.ok(reply.status >= 400 && reply.status < 500, `${i}: ${reply.status} ${reply.text}`)
    assert.ok(errorSchema.safeParse(JSON.parse(reply.text)).success, `${i}: ${reply.text}`)
  }
  return outcomes
}

/** Parameters, queries, bodies and resume ids of every route. */
export async function fuzzRoutes(stand: Stand, rounds: number, seed: number): Promise<Outcomes> {
  const random = seededRandom(seed)
  const pick = pickBy(random)
  const junk = ['', '0', '-1', '%00', '%', '%2e%2e%2f', 'x'.repeat(300), '{}', 'null', '../..', '__proto__', 'é']
  const values = [null, -1, 1e308, '', [], {}, true, 'x'.repeat(3000), { answer: 'allow' }, '\u0000']
  const fuzzed = (route: Route): [string, Ask] => {
    const [method = '', url = ''] = route.split(' ')
    const query =
      random() < 0.6 ? `?${pick(['kind', 'state', 'from', 'limit', 'trace', 'path', 'zz'])}=${pick(junk)}` : ''
    const fields = ['answer', 'reach', 'forMs', 'request', 'step', 'as', 'result', 'model', 'messages', 'zz']
    const body =
      random() < 0.3
        ? pick(junk)
        : JSON.stringify(Object.fromEntries([1, 2, 3].map(() => [pick(fields), pick(values)])))
    const headers: Record<string, string> =
      random() < 0.3 ? { 'last-event-id': pick(['x', '1e9', '9'.repeat(40), '-1']) } : {}
    return [
      url.replaceAll(/:\w+/g, () => pick(junk) || 'x') + query,
      { method, headers, ...(method === 'POST' ? { body } : {}) },
    ]
  }
  const outcomes: Outcomes = new Map()
  for (let i = 0; i < rounds; i += 1) {
    const route = pick(routeNames)
    const [path, options] = fuzzed(route)
    // A stream that would begin does not end.
    if (specOf(route).events && !(options.headers && 'last-event-id' in options.headers)) continue
    const key = random() < 0.9 ? stand.keyOf.admin : pick(['x', `cm_${'x'.repeat(43)}`])
    const reply = await ask(stand.url, path, { ...options, key }).catch((error: Error) =>
      assert.fail(`${route} ${path}: ${error}`),
    )
    count(outcomes, reply.status)
    if (reply.status < 300) continue
    assert.ok(reply.status < 500 || reply.status === 503, `${i} ${route} ${path}: ${reply.status} ${reply.text}`)
    const said = JSON.parse(reply.text)
    // MCP has a form of its own for what is wrong with a message.
    if (route === 'POST /mcp' && said.jsonrpc === '2.0') continue
    const { error } = errorSchema.parse(said)
    assert.ok(error.code in errorCodes, error.code)
  }
  return outcomes
}

/** Bytes that were a request, with some of them changed, left out or doubled. No key is among them, so that nobody may be let in. */
export async function fuzzBytes(stand: Stand, rounds: number, seed: number): Promise<Outcomes> {
  const random = seededRandom(seed)
  const pick = pickBy(random)
  const { host, hostname, port } = new URL(stand.url)
  const outcomes: Outcomes = new Map()
  for (let i = 0; i < rounds; i += 1) {
    const body = '{"answer":"allow"}'
    const head = `POST ${pick(['/v1/approvals/x', '/v1/tasks', '/v1/audit', '/mcp'])} HTTP/1.1\r\nhost: ${host}\r\n`
    const more = `authorization: Bearer cm_${'x'.repeat(43)}\r\ncontent-type: application/json\r\n`
    const bytes = Buffer.from(`${head}${more}content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
    const changed = Array.from({ length: 1 + wholeBelow(random, 6) }).reduce<Buffer>((was) => {
      const at = wholeBelow(random, was.length)
      const upTo = at + wholeBelow(random, 12)
      const way = random()
      if (way < 0.4)
        return Buffer.concat([was.subarray(0, at), Buffer.of(wholeBelow(random, 256)), was.subarray(at + 1)])
      if (way < 0.7) return Buffer.concat([was.subarray(0, at), was.subarray(upTo)])
      return Buffer.concat([was.subarray(0, upTo), was.subarray(at)])
    }, bytes)
    const text = await exchange(hostname, Number(port), changed)
    const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
    for (const status of statuses) {
      count(outcomes, status)
      assert.ok(status >= 400 && status < 500, `${i}: ${JSON.stringify(changed.toString('latin1'))}: ${text}`)
    }
  }
  return outcomes
}

/** What comes back, until the other side ends; nothing more is sent, so a request that is not whole ends there. */
const exchange = (host: string, port: number, bytes: Buffer): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    const socket = connect(port, host, () => socket.end(bytes))
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    socket.once('error', () => undefined)
    socket.once('close', () => resolve(text))
  })

/** `npm run soak -- gateway [REQUESTS] [SEED]` */
export async function soakGateway(requests: number, seed: number): Promise<boolean> {
  const stand = await openStand({ rate: { burst: 1e9, perSecond: 1e9 }, headMs: 2000, requestMs: 4000 })
  try {
    for (const [what, fuzz, share] of [
      ['chat completions', fuzzChat, 0.3],
      ['every route', fuzzRoutes, 0.4],
      ['bytes', fuzzBytes, 0.3],
    ] as const) {
      const outcomes = await fuzz(stand, Math.ceil(requests * share), seed)
      const told = [...outcomes].sort(([a], [b]) => a - b).map(([status, times]) => `${times} × ${status}`)
      process.stdout.write(`${what}: ${told.join(', ')}\n`)
    }
    const alive = await ask(stand.url, '/v1/whoami', { key: stand.keyOf.viewer })
    process.stdout.write(`then: ${alive.status}\n`)
    return alive.status === 200
  } finally {
    await stand.close()
  }
}
