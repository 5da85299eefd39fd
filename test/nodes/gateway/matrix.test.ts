/** Every route × every kind of caller, made of the table itself. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { actor } from '../../../mesh/index.js'
import { installation } from '../../../mesh/installation.js'
import { agentsReplySchema, nodesReplySchema } from '../../../nodes/gateway/rest/schema.js'
import { isOpen, type Route, routeNames, ruleOn } from '../../../nodes/gateway/route.js'
import { StandingPeople } from '../../../nodes/people.js'
import { type PeopleRole, peopleRoles, someone } from '../../../policies/people.js'
import { eventually } from '../../kit/eventually.js'
import { ask, cloud, endless, errorOf, follow, openStand, type Reply, type Stand, shipped } from './stand.js'

const day = 86_400_000
/** Of a folder where nobody has written policies. */
const { now: people } = await StandingPeople.open('nowhere')
const mayUse = (role: PeopleRole, route: Route) => ruleOn(people, someone(role), route).allowed

describe('who may do what at the gateway', () => {
  let stand: Stand
  let expired: string
  before(async () => {
    stand = await openStand()
    expired = stand.keys.add('old', 'admin', Date.now() - 2 * day, day)
  })
  after(() => stand?.close())

  /** What is asked of each route, and what comes of it for whoever may; 200 unless told. */
  const samples: Partial<Record<Route, { path?: string; body?: object; status?: number }>> = {
    'GET /console/:name': { path: '/console/console.css' },
    'POST /v1/chat/completions': {
      body: { model: shipped, messages: [{ role: 'user', content: '12 + 7' }], max_tokens: 4 },
    },
    'POST /v1/completions': { body: { model: shipped, prompt: '12 + 7', max_tokens: 4 } },
    'POST /v1/embeddings': { body: { model: shipped, input: 'a' }, status: 404 },
    'POST /mcp': { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } },
    'GET /mcp': { status: 405 },
    'DELETE /mcp': { status: 405 },
    'POST /v1/tasks': { body: { request: 'how many lines has notes.txt' }, status: 503 },
    'GET /v1/tasks/:id': { path: '/v1/tasks/none', status: 404 },
    'GET /v1/tasks/:id/events': { path: '/v1/tasks/none/events', status: 404 },
    'POST /v1/tasks/:id/cancel': { path: '/v1/tasks/none/cancel', body: {}, status: 404 },
    'POST /v1/tasks/:id/settle': { path: '/v1/tasks/none/settle', body: { step: 'x', as: 'again' }, status: 404 },
    'GET /v1/approvals/:id': { path: '/v1/approvals/none', status: 404 },
    'POST /v1/approvals/:id': { path: '/v1/approvals/none', body: { answer: 'refuse' }, status: 404 },
    'POST /v1/approvals/:id/revoke': { path: '/v1/approvals/none/revoke', body: {}, status: 404 },
    'GET /v1/policies/:name/explain': { path: '/v1/policies/ask-first/explain?kind=read&path=/etc/passwd' },
  }
  const statusOf = (route: Route) => samples[route]?.status ?? 200

  const call = async (route: Route, key?: string): Promise<Reply> => {
    const [method = '', url = ''] = route.split(' ')
    const headers = { accept: 'application/json, text/event-stream' }
    const { path = url, body } = samples[route] ?? {}
    if (!path.endsWith('/events') || key === undefined) return ask(stand.url, path, { method, key, body, headers })
    // A stream that has begun does not end by itself.
    const following = await follow(stand.url, path, key)
    if (following.status === 200) return { ...following, text: String(following.close() ?? '') }
    return ask(stand.url, path, { method, key, body, headers })
  }

  for (const route of routeNames) {
    for (const role of peopleRoles) {
      it(`${route} ${mayUse(role, route) ? 'answers' : 'refuses'} ${role}`, async () => {
        const reply = await call(route, stand.keyOf[role])
        if (mayUse(role, route)) return assert.equal(reply.status, statusOf(route), reply.text)
        assert.equal(reply.status, 403, reply.text)
        assert.match(errorOf(reply).message, new RegExp(`role ${role} may not`))
      })
    }

    const wrong: [string, () => string | undefined, RegExp][] = [
      ['no key', () => undefined, /no key/],
      ['a key of nobody', () => `cm_${'A'.repeat(43)}`, /not known/],
      ['a key with one letter changed', () => flipped(stand.keyOf.admin), /not known/],
      ['a key cut short', () => stand.keyOf.admin.slice(0, -1), /not known/],
      ['the hash instead of the key', () => stand.keys.list()[0]?.hash, /not known/],
      ['a key that has expired', () => expired, /expired/],
    ]
    for (const [what, key, why] of wrong) {
      it(`${route} ${isOpen(route) ? 'answers' : 'refuses'} ${what}`, async () => {
        const reply = await call(route, key())
        if (isOpen(route)) return assert.equal(reply.status, 200, reply.text)
        assert.equal(reply.status, 401, reply.text)
        assert.match(errorOf(reply).message, why)
        assert.equal(reply.headers['www-authenticate'], 'Bearer')
      })
    }
  }

  it('is what the table of docs/gateway.md says', () => {
    const page = readFileSync(join(installation, 'docs', 'gateway.md'), 'utf8')
    for (const route of routeNames) {
      const cells = peopleRoles.map((role) => (mayUse(role, route) ? 'yes' : 'no')).join(' | ')
      const without = isOpen(route) ? 'yes' : 'no'
      assert.ok(
        page.includes(`| \`${route}\` | ${without} | ${cells} |`),
        `no line for ${route}: ${without} | ${cells}`,
      )
    }
  })

  it('is asked of the file each time: a removed key is refused at once, a new one let in', async () => {
    const key = stand.keys.add('guest', 'viewer', Date.now())
    assert.equal((await call('GET /v1/models', key)).status, 200)
    stand.keys.remove('guest')
    assert.equal((await call('GET /v1/models', key)).status, 401)
    assert.notEqual(stand.keys.add('guest', 'viewer', Date.now()), key)
    assert.equal((await call('GET /v1/models', key)).status, 401)
  })

  it('is kept as hashes in a file of the owner alone', () => {
    const content = readFileSync(stand.keys.file, 'utf8')
    for (const key of Object.values(stand.keyOf)) assert.ok(!content.includes(key) && !content.includes(key.slice(3)))
    assert.equal(statSync(stand.keys.file).mode & 0o777, 0o600)
  })

  it('tells nobody without a key which routes there are', async () => {
    assert.equal((await ask(stand.url, '/v1/secrets')).status, 401)
    assert.equal((await ask(stand.url, '/v1/secrets', { key: stand.keyOf.viewer })).status, 404)
    assert.equal((await ask(stand.url, '/v1/models', { method: 'DELETE', key: stand.keyOf.admin })).status, 404)
  })

  it('shuts out pages of other origins, and names that were pointed at this machine', async () => {
    const { host } = new URL(stand.url)
    const with_ = async (headers: Record<string, string>, path = '/v1/models') =>
      (await ask(stand.url, path, { key: stand.keyOf.admin, headers })).status
    assert.equal(await with_({ origin: `http://${host}` }), 200)
    assert.equal(await with_({ origin: 'https://evil.example' }), 403)
    assert.equal(await with_({ origin: 'null' }), 403)
    assert.equal(await with_({ 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await with_({ host: 'evil.example', origin: 'http://evil.example' }), 403)
    assert.equal(await with_({ host: '127.0.0.1.evil.example' }, '/healthz'), 403)
    assert.equal(await with_({ host: 'localhost:1' }), 200)
  })

  it('shows who works in the mesh, for as long as they do', async () => {
    const named = async (name: string) => {
      const { text } = await call('GET /v1/agents', stand.keyOf.viewer)
      return agentsReplySchema.parse(JSON.parse(text)).agents.find((agent) => agent.name === name)
    }
    await stand.box.spawn(
      actor('clerk', () => []),
      { as: 'clerk-1' },
    )
    await eventually(async () =>
      assert.deepEqual(await named('clerk-1'), { name: 'clerk-1', node: 'box', kind: 'agent' }),
    )
    assert.equal((await named('approvals'))?.kind, 'service')
    await stand.box.stop('clerk-1')
    await eventually(async () => assert.equal(await named('clerk-1'), undefined))
  })

  it('shows the mesh as it is', async () => {
    const { text } = await call('GET /v1/nodes', stand.keyOf.viewer)
    const { nodes } = nodesReplySchema.parse(JSON.parse(text))
    assert.deepEqual(nodes.map(({ name, model, zone }) => [name, model, zone]).sort(), [
      ['box', null, null],
      ['endless', endless, 'mesh'],
      ['far', cloud, 'elsewhere'],
      ['front', null, null],
      ['home', null, null],
      ['tiny', shipped, 'mesh'],
    ])
    const models = JSON.parse((await call('GET /v1/models', stand.keyOf.viewer)).text)
    assert.deepEqual(
      models.data.map(({ id }: { id: string }) => id),
      [shipped, cloud, endless],
    )
  })
})

const flipped = (key: string) => `${key.slice(0, 10)}${key[10] === 'A' ? 'B' : 'A'}${key.slice(11)}`
