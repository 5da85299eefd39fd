/** The REST API over real HTTP and a real broker: tasks, questions, audit, policies, and streams that are taken up again. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { installation } from '../../../../mesh/installation.js'
import { viewSchema } from '../../../../nodes/approvals/question.js'
import { openApi } from '../../../../nodes/gateway/openapi.js'
import {
  approvalsSchema,
  auditReplySchema,
  costsSchema,
  policyVersionsSchema,
  seenEventSchema,
  taskSchema,
} from '../../../../nodes/gateway/rest/schema.js'
import { StandingPeople } from '../../../../nodes/people.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { askPerson } from '../../../../sandbox/approval.js'
import { eventually } from '../../../kit/eventually.js'
import { fuzzRoutes } from '../fuzz.js'
import { type Ask, ask, errorOf, follow, openStand, type Stand } from '../stand.js'

describe('the REST API', () => {
  let stand: Stand
  before(async () => {
    stand = await openStand()
  })
  after(() => stand?.close())

  const call = (path: string, key: string, options: Ask = {}) => ask(stand.url, path, { key, ...options })
  const read = async <S extends z.ZodType>(schema: S, path: string, key: string, options: Ask = {}) => {
    const reply = await call(path, key, options)
    assert.ok(reply.status < 300, `${reply.status} ${path} ${reply.text}`)
    return schema.parse(JSON.parse(reply.text)) as z.output<S>
  }
  const hold = (task: string, path = '/a') => {
    const { box } = stand
    const missing = [{ kind: 'write' as const, path }]
    const question = { node: box.name, tool: 'write_note', args: { path, text: 'x' }, missing, workspace: '/w' }
    const { signal } = new AbortController()
    return askPerson(box, question, { signal, trace: task, deadline: Date.now() + 30_000 })
  }
  const heldOf = (task: string) =>
    eventually(async () => {
      const { questions } = await read(approvalsSchema, '/v1/approvals', stand.keyOf.approver)
      const view = questions.find((one) => one.task === task)
      assert.ok(view)
      return view
    })

  it('is described by the document in docs/openapi.json, which it serves', async () => {
    const { text } = await call('/openapi.json', stand.keyOf.viewer)
    assert.deepEqual(JSON.parse(text), openApi((await StandingPeople.open('nowhere')).now))
    assert.deepEqual(JSON.parse(readFileSync(join(installation, 'docs', 'openapi.json'), 'utf8')), JSON.parse(text))
  })

  it('brings a held action to an approver, and his answer to the action, with the name of his key', async () => {
    const answer = hold('one')
    const view = await heldOf('one')
    assert.deepEqual(view.adds, { read_only: [], read_write: ['/a'] })
    const path = `/v1/approvals/${view.id}`
    const body = { answer: 'allow' }
    const decided = await read(viewSchema, path, stand.keyOf.approver, { method: 'POST', body })
    assert.equal(decided.verdict?.by, 'approver')
    assert.deepEqual(await answer, { answer: 'allow', by: 'approver' })
    const second = await call(path, stand.keyOf.admin, { method: 'POST', body: { answer: 'refuse' } })
    assert.deepEqual([second.status, errorOf(second).code], [409, 'ALREADY_DECIDED'])
    assert.match(errorOf(second).message, /allowed by approver/)
  })

  it('lets one of two approvers decide who answer at once', async () => {
    const answer = hold('two')
    const { id } = await heldOf('two')
    const replies = await Promise.all([
      call(`/v1/approvals/${id}`, stand.keyOf.approver, { method: 'POST', body: { answer: 'allow' } }),
      call(`/v1/approvals/${id}`, stand.keyOf.admin, { method: 'POST', body: { answer: 'refuse' } }),
    ])
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 409])
    const winner = replies[0]?.status === 200 ? 'approver' : 'admin'
    assert.equal((await answer).by, winner)
  })

  it('takes no decision by a key that was removed while it was being sent', async () => {
    const answer = hold('three')
    const { id } = await heldOf('three')
    const key = stand.keys.add('leaver', 'approver', Date.now())
    const sending = httpRequest(`${stand.url}/v1/approvals/${id}`, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'content-length': 18,
        expect: '100-continue',
      },
    })
    const replied = once(sending, 'response')
    sending.flushHeaders()
    // It says so when it has the head, and asks for the body.
    await once(sending, 'continue')
    stand.keys.remove('leaver')
    sending.end('{"answer":"allow"}')
    const [response] = await replied
    response.resume()
    assert.equal(response.statusCode, 401)
    const { verdict } = await read(viewSchema, `/v1/approvals/${id}`, stand.keyOf.auditor)
    assert.equal(verdict, null)
    await call(`/v1/approvals/${id}`, stand.keyOf.admin, { method: 'POST', body: { answer: 'refuse' } })
    assert.equal((await answer).by, 'admin')
  })

  it('streams questions, and goes on after the last event that was seen', async () => {
    const following = await follow(stand.url, '/v1/approvals/events?task=four', stand.keyOf.operator)
    const first = hold('four')
    const { id } = await heldOf('four')
    await eventually(() => assert.equal(following.events.length, 1))
    following.close()
    await call(`/v1/approvals/${id}`, stand.keyOf.admin, { method: 'POST', body: { answer: 'allow', reach: 'once' } })
    await first
    const last = following.events[0]?.id ?? ''
    const again = await follow(stand.url, '/v1/approvals/events?task=four', stand.keyOf.operator, last)
    const [event] = await eventually(() => {
      assert.equal(again.events.length, 1)
      return again.events
    })
    const view = viewSchema.parse(event?.data)
    assert.deepEqual([view.id, view.verdict?.by], [id, 'admin'])
    assert.ok(Number(event?.id) > Number(last))
    again.close()
  })

  it('lets one key follow a bounded number of streams, and gives a slot back with its connection', async () => {
    const key = stand.keys.add('greedy', 'operator', Date.now())
    const path = '/v1/approvals/events?task=none'
    const held = await Promise.all(Array.from({ length: 32 }, () => follow(stand.url, path, key)))
    const reply = await call(path, key)
    assert.deepEqual([reply.status, errorOf(reply).code], [429, 'RATE_LIMITED'])
    for (const { close } of held) close()
    const again = await eventually(async () => {
      const following = await follow(stand.url, path, key)
      if (following.status !== 200) following.close()
      assert.equal(following.status, 200)
      return following
    })
    again.close()
  })

  it('ends a stream before its next event if its key was removed', async () => {
    const key = stand.keys.add('guest', 'operator', Date.now())
    const following = await follow(stand.url, '/v1/approvals/events?task=five', key)
    stand.keys.remove('guest')
    const answer = hold('five')
    await following.ended
    assert.ok(!following.events.some(({ data }) => viewSchema.safeParse(data).success))
    const { id } = await heldOf('five')
    await call(`/v1/approvals/${id}`, stand.keyOf.admin, { method: 'POST', body: { answer: 'refuse' } })
    await answer
  })

  it('shows a task and its journal as it is written, from any record on, until it has ended', async () => {
    const { tasks, keyOf } = stand
    const task = await tasks.begin({ request: 'r' })
    const path = `/v1/tasks/${task.id}/events`
    const following = await follow(stand.url, path, keyOf.developer)
    const step = { result: z.number(), repeatable: false }
    await task.step('first', step, async () => 1)
    await task.step('second', step, async () => 2)
    await eventually(() => assert.equal(following.events.length, 5))
    following.close()
    await task.end({ ok: true })
    const rest = await follow(stand.url, path, keyOf.developer, following.events[2]?.id)
    await rest.ended
    const types = [...following.events.slice(0, 3), ...rest.events].map(({ id, data }) => [id, Object(data).type])
    assert.deepEqual(types, [
      ['0', 'task'],
      ['1', 'begun'],
      ['2', 'done'],
      ['3', 'begun'],
      ['4', 'done'],
      ['5', 'ended'],
    ])
    const shown = await read(taskSchema, `/v1/tasks/${task.id}`, keyOf.auditor)
    assert.equal(shown.state, 'ended')
  })

  it('settles what is in doubt and cancels what is not wanted', async () => {
    const { tasks, keyOf } = stand
    const task = await tasks.begin({ request: 'mail' })
    await assert.rejects(
      task.step('mail', { result: z.null(), repeatable: false }, async () => {
        throw new Error('the process dies')
      }),
    )
    const path = `/v1/tasks/${task.id}`
    assert.equal((await read(taskSchema, path, keyOf.operator)).state, 'in doubt')
    const body = { step: 'mail', as: 'done', result: 'sent' }
    assert.equal(
      (await read(taskSchema, `${path}/settle`, keyOf.operator, { method: 'POST', body })).state,
      'unfinished',
    )
    const again = await call(`${path}/settle`, keyOf.operator, { method: 'POST', body })
    assert.deepEqual([again.status, errorOf(again).code], [400, 'USAGE'])
    const cancelled = await read(taskSchema, `${path}/cancel`, keyOf.developer, { method: 'POST', body: {} })
    assert.deepEqual([cancelled.state, Object(cancelled.outcome).answer], ['ended', 'cancelled by developer'])
  })

  it('answers what the run of an agent asks, in the name of the key alone, and takes the task from nobody', async () => {
    const { tasks, keyOf } = stand
    const task = await tasks.begin({ request: 'pay' })
    const question = 'question 1: pay'
    const answer = z.object({ answer: z.string(), by: z.string() })
    const asks = () =>
      task.step(question, { result: answer, repeatable: false }, async () => {
        throw new ClawmeshError('UNREACHABLE', 'No person has answered yet.')
      })
    await assert.rejects(asks(), { code: 'UNREACHABLE' })
    const send = (result: unknown, key = keyOf.approver, step = question) => {
      const body = { step, as: 'done', result }
      return call(`/v1/tasks/${task.id}/settle`, key, { method: 'POST', body })
    }
    // Who steers tasks does not answer for people, nor the other way round.
    assert.deepEqual(
      [(await send('allow', keyOf.operator)).status, (await send('x', keyOf.approver, 'mail')).status],
      [403, 403],
    )
    assert.equal(errorOf(await send({ answer: 'allow', by: 'Ada' })).code, 'MESSAGE_INVALID')
    assert.equal((await send('allow')).status, 200)
    await task.note('it goes on', null)
    assert.deepEqual(await asks(), { answer: 'allow', by: 'approver' })
  })

  it('answers what was asked of the audit trail, and follows it from any event on', async () => {
    const { front, keyOf } = stand
    const note = async (n: number) => {
      await front.audit.intend({ kind: 'vote.cast', trace: 'audited', actor: 'test', facts: { n } })
    }
    for (let n = 0; n < 5; n += 1) await note(n)
    const query = (more: string) => read(auditReplySchema, `/v1/audit?trace=audited${more}`, keyOf.auditor)
    const all = await query('&kind=vote')
    assert.deepEqual([all.events.map(({ facts }) => facts['n']), all.more], [[0, 1, 2, 3, 4], false])
    const newest = await query('&limit=2')
    assert.deepEqual([newest.events.map(({ facts }) => facts['n']), newest.more], [[3, 4], true])
    assert.equal((await query(`&until=${new Date(0).toISOString()}`)).events.length, 0)
    assert.equal((await query('&node=nobody')).events.length, 0)
    const following = await follow(stand.url, '/v1/audit/events?trace=audited', keyOf.auditor, all.events[2]?.id)
    await note(5)
    const events = await eventually(() => {
      assert.equal(following.events.length, 3)
      return following.events.map(({ data }) => seenEventSchema.parse(data))
    })
    assert.deepEqual(
      events.map(({ facts }) => facts['n']),
      [3, 4, 5],
    )
    following.close()
    const unknown = await call('/v1/audit/events', keyOf.auditor, { headers: { 'last-event-id': '999999.0' } })
    assert.equal(unknown.status, 404)
  })

  it('sums what questions to models cost, and leaves out and counts what a member wrote that says no such thing', async () => {
    const { front, keyOf } = stand
    const costs = () => read(costsSchema, '/v1/costs', keyOf.auditor)
    const before = await costs()
    const usage = { promptTokens: 5, outputTokens: 2 }
    const good = { model: 'm', zone: 'mesh', roles: [], usage, seconds: 1, prices: '1' }
    for (const facts of [good, { model: 7 }, {}, { ...good, seconds: 1e308 }, { ...good, seconds: -1 }, good])
      await front.audit.intend({ kind: 'model.used', trace: 'costs', actor: 'test', facts })
    const { sum, unreadable, byActor, byTime } = await costs()
    assert.deepEqual([sum.requests - before.sum.requests, unreadable - before.unreadable], [2, 4])
    const { requests, promptTokens, seconds } = byActor.find(({ name }) => name === 'test') ?? {}
    assert.deepEqual([requests, promptTokens, seconds], [2, 10, 2])
    assert.equal(
      byTime.reduce((total, span) => total + span.requests, 0),
      sum.requests,
    )
  })

  it('has the versions of the policy of the mesh, and what each node made of the newest', async () => {
    const { policies, publish, box, keyOf } = stand
    const versions = () => read(policyVersionsSchema, '/v1/policies/versions', keyOf.viewer)
    assert.deepEqual((await versions()).versions, [])
    const edition = policies.add({ name: 'strict', text: '{}', by: 'ada', reason: 'an audit' }, Date.now())
    await publish(edition)
    await box.directory.describe({
      policy: { name: 'ask-first', version: null, digest: 'x', follows: true, refused: null },
    })
    await eventually(async () => {
      const { inForce, versions: all, nodes } = await versions()
      assert.deepEqual(
        all.map(({ version, by, name, reason, text }) => [version, by, name, reason, text]),
        [[1, 'ada', 'strict', 'an audit', '{}']],
      )
      assert.equal(inForce, 1)
      const [node] = nodes
      assert.deepEqual([nodes.length, node?.name, node?.version], [1, 'box', null])
      assert.notEqual(node?.drift, null)
    })
  })

  it('explains a policy without a look at any disk', async () => {
    const explain = (query: string) => call(`/v1/policies/ask-first/explain?${query}`, stand.keyOf.viewer)
    assert.equal(JSON.parse((await explain('kind=read&path=/workspace/a')).text).answer, 'allow')
    assert.equal(JSON.parse((await explain('kind=write&path=/workspace/a')).text).answer, 'ask')
    assert.equal(JSON.parse((await explain('kind=read&path=/proc/1/mem')).text).answer, 'deny')
    assert.equal((await explain('kind=read&path=a')).status, 400)
    assert.equal((await call('/v1/policies/..%2f..%2fetc/explain?kind=read&path=/a', stand.keyOf.viewer)).status, 400)
  })

  it('answers 500 random requests to every route with a code of the table, and never fails itself', async () => {
    const outcomes = await fuzzRoutes(stand, 500, 88)
    assert.ok((outcomes.get(400) ?? 0) > 50, JSON.stringify([...outcomes]))
    assert.equal((await call('/v1/whoami', stand.keyOf.admin)).status, 200)
  })
})
