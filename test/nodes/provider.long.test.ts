/** `models provider …` and `costs`: the shipped commands on a mesh with a broker, a provider that records, and the trail of what was asked. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openSession } from '../../nodes/agents/model/privacy.js'
import { think } from '../../nodes/agents/model/think.js'
import { holderOf } from '../../nodes/elsewhere.js'
import { parseRouterRules } from '../../policies/router.js'
import { beginSite, type RunningSite, runSite } from '../audit/site.js'
import { temporaryFolder } from '../kit/mesh.js'
import { type Cloud, openCloud } from '../router/cloud.js'
import { shipped } from '../router/kit.js'
import { command, run } from './command.js'

const key = 'k-0123456789abcdef'

describe('a provider that is added by command', () => {
  const data = temporaryFolder()
  const store = join(data, 'providers.sealed')
  let cloud: Cloud
  let running: RunningSite | undefined
  before(async () => {
    cloud = await openCloud()
    await runSite(data)
  })
  after(async () => {
    await running?.close()
    await cloud.close()
    rmSync(data, { recursive: true, force: true })
  })
  const add = (...more: string[]) =>
    run(['models', 'provider', 'add', 'cloud', '--form', 'openai', '--models', 'large', '--data', data, ...more], {
      before: ['sh', '-c', `printf '%s\\n' ${key} | "$0" "$@"`],
    }).ended
  const inJson = async (...args: string[]) => {
    const { status, stdout, stderr } = await command(...args, '--data', data, '--json')
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout)
  }

  it('is kept sealed, for its owner alone, and said to be asked by nothing before the rules name it', async () => {
    const { status, stderr, stdout } = await add('--url', cloud.url)
    assert.equal(status, 0, stderr)
    assert.match(stderr, /Nothing goes to cloud\/large before the router rules name it/)
    assert.equal(statSync(store).mode & 0o777, 0o600)
    for (const text of [readFileSync(store, 'latin1'), stdout, stderr]) assert.equal(text.includes(key), false)
    const { providers } = await inJson('models', 'provider', 'list')
    assert.deepEqual(providers[0].models, [{ model: 'cloud/large', named: false }])
    assert.equal(JSON.stringify(providers).includes(key), false)
  })

  it('is added once, with a key, by a command that says what is missing', async () => {
    assert.equal((await add('--url', cloud.url)).status, 2)
    const bare = ['models', 'provider', 'add', 'other', '--data', data]
    assert.equal((await command(...bare)).status, 2)
    const keyless = await command(...bare, '--form', 'openai', '--models', 'x')
    assert.deepEqual([keyless.status, /There is no key/.test(keyless.stderr)], [2, true])
    assert.equal((await command('models', 'provider', 'list', '--data', join(data, 'none'))).status, 2)
  })

  it('is asked by a mesh whose own rules name it, with the key, and what that costs is told', async () => {
    writeFileSync(
      join(data, 'router.yaml'),
      shipped
        .replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]')
        .replace('\nbudgets: []', '\nbudgets: [{ name: month, limit: 1, per: month }]')
        .replace(/^order: \{\}$/m, 'order: { prices: [{ model: cloud/large, upTo: hard, input: 1, output: 1 }] }')
        .replace(/(name: the-rest-may-leave\n\s+when: )\{\}/, '$1{ within: [month] }'),
    )
    running = await beginSite(data)
    const { node } = running.site
    assert.deepEqual(holderOf(node)?.models, ['cloud/large'])
    cloud.answer = (_, response) => {
      const usage = { prompt_tokens: 1_000_000, completion_tokens: 1000 }
      response.writeHead(200)
      response.end(`data: ${JSON.stringify({ choices: [{ delta: { content: 'ok' } }], usage })}\n\ndata: [DONE]\n\n`)
    }
    const request = { messages: [{ role: 'user' as const, content: 'hello' }], maxTokens: 9, temperature: 0 }
    const { signal } = new AbortController()
    const about = { actor: 'asker', deadline: node.now() + 20_000, signal, trace: 'task-1', model: 'cloud/large' }
    const { text } = await think(node, request, { ...about, session: await openSession(node, 'task-1') })
    assert.equal(text, 'ok')
    assert.match(cloud.sent[0] ?? '', new RegExp(`Bearer ${key}`))

    const prices = join(data, 'prices.yaml')
    const table = readFileSync('policies/prices.yaml', 'utf8').replace('*/example-large', 'cloud/large')
    writeFileSync(prices, table)
    const told = await inJson('costs', '--prices', prices)
    assert.equal(told.sum.requests, 1)
    assert.equal(told.sum.cost, 3 + 0.015)
    assert.equal(told.sum.frontier, 3 + 0.015)
    assert.deepEqual(
      [told.requests[0].actor, told.requests[0].task, told.requests[0].prices],
      ['asker', 'task-1', 'example-1'],
    )
    assert.equal((await inJson('costs')).sum.unpriced, 1)
    assert.equal((await inJson('costs', '--task', 'another')).sum.requests, 0)
    const { stdout } = await command('costs', '--data', data)
    assert.match(stdout, /The same trace at frontier rates .* That is a calculation/)

    await node.audit.intend({ kind: 'model.used', trace: 'task-2', actor: 'asker', facts: { model: 7 } })
    const { sum, unreadable } = await inJson('costs')
    assert.deepEqual([sum.requests, unreadable], [1, 1])
    assert.equal((await inJson('costs', '--task', 'task-1')).unreadable, 0)
    assert.match((await command('costs', '--data', data)).stdout, /^1 records of the trail are in no sum/m)
  })

  it('has spent its budget by then: `route --explain` says so, and nothing more leaves, also after a restart', async () => {
    const hello = join(data, 'hello.txt')
    writeFileSync(hello, 'hello')
    const explained = ['route', '--explain', hello] as const
    const { budgets, decision, leaves } = await inJson(...explained)
    assert.deepEqual([budgets.length, budgets[0].taken, budgets[0].isSpent], [1, 1.001, true])
    assert.deepEqual([decision.rule, leaves], ['none', undefined])
    const { stdout } = await command(...explained, '--data', data)
    assert.match(stdout, /^Budget {4}month: 1\.001 of 1 is taken, cloud\/large may take \S+: as good as spent$/m)
    await running?.close()
    running = await beginSite(data)
    const { node } = running.site
    const request = { messages: [{ role: 'user' as const, content: 'hello' }], maxTokens: 9, temperature: 0 }
    const { signal } = new AbortController()
    const about = { actor: 'asker', deadline: node.now() + 20_000, signal, trace: 'task-2', model: 'cloud/large' }
    const before = cloud.sent.length
    await assert.rejects(think(node, request, { ...about, session: await openSession(node, 'task-2') }), {
      code: 'DENIED',
      message: /spent is month/,
    })
    assert.equal(cloud.sent.length, before)
  })

  it('has its own traffic to set the limits of hardness by', async () => {
    const { questions, counts, now, proposed } = await inJson('route', 'calibrate', '--moderate', '0', '--hard', '0')
    assert.ok(questions > 0 && counts.reduce((sum: number, count: number) => sum + count, 0) === questions)
    assert.deepEqual(now.from, { moderate: 2, hard: 5 })
    assert.deepEqual([proposed.from.moderate, proposed.moderate], [Math.max(1, counts.length), 0])
    const { stdout } = await command('route', 'calibrate', '--data', data)
    assert.match(stdout, /^ {2}from: \{ moderate: \d+, hard: \d+ \}$/m)
    assert.equal((await command('route', 'calibrate', '--data', data, '--hard', '50')).status, 2)
    const before = readFileSync(join(data, 'router.yaml'), 'utf8')
    const { written } = await inJson('route', 'calibrate', '--moderate', '0', '--hard', '0', '--write')
    assert.equal(written, true)
    const { order } = parseRouterRules(readFileSync(join(data, 'router.yaml'), 'utf8'))
    assert.deepEqual(order, { ...parseRouterRules(before).order, from: proposed.from })
    assert.equal((await command('route', 'calibrate', '--data', data, '--write', '--rules', 'other.yaml')).status, 2)
  })

  it('is forgotten when it is removed', async () => {
    assert.equal((await command('models', 'provider', 'remove', 'cloud', '--data', data)).status, 0)
    assert.deepEqual((await inJson('models', 'provider', 'list')).providers, [])
    assert.equal((await command('models', 'provider', 'remove', 'cloud', '--data', data)).status, 2)
  })
})
