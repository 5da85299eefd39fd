/** `up --gateway` and `gateway key …`: the shipped commands, asked over HTTP. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { viewSchema } from '../../../nodes/approvals/question.js'
import { dispatch } from '../../../nodes/cli/dispatch.js'
import { keepGateway, recallGateway } from '../../../nodes/cli/mesh/gateway-place.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { eventually } from '../../kit/eventually.js'
import type { Ended } from '../command.js'
import { Machine } from '../machine.js'
import { ask, errorOf, follow } from './stand.js'

const refused = ({ status, error }: Ended, code: number, pattern: RegExp) => {
  assert.equal(status, code, error.join('\n'))
  assert.match(error.join('\n'), pattern)
  assert.equal(error.length, 2, 'a message and a hint')
}

/** In this process: what is typed wrongly ends before anything is opened. */
const misused = (words: string[], pattern: RegExp) =>
  assert.rejects(dispatch(words), (error) => {
    assert.ok(error instanceof ClawmeshError, String(error))
    assert.equal(error.exitStatus, 2)
    assert.match(error.message, pattern)
    assert.notEqual(error.hint, '')
    return true
  })

describe('clawmesh up --gateway', () => {
  const machine = new Machine()
  let url: string
  let task: string
  const workspace = join(machine.data, '..', 'workspace')
  before(async () => {
    mkdirSync(workspace)
    writeFileSync(join(machine.data, '..', 'secret.txt'), 'a\nb\n')
    const running = await machine.up('--name', 'home', '--gateway', '0', '--workspace', workspace, '--json')
    url = /The gateway listens at (http:\S+)\. /.exec(running.stderr())?.[1] ?? assert.fail(running.stderr())
  })
  after(() => machine.remove())

  const add = async (name: string, ...more: string[]) =>
    (await machine.do('gateway', 'key', 'add', name, ...more)).stdout.trim()
  const question = { model: 'clawmesh-tiny', messages: [{ role: 'user', content: 'PRIVATE 12 + 7' }], max_tokens: 16 }
  const post = (key: string) => ask(url, '/v1/chat/completions', { method: 'POST', key, body: question })

  it('serves the models of the mesh to who has a key, until it is removed', async () => {
    assert.equal((await ask(url, '/readyz')).status, 200)
    const key = await add('laptop', '--role', 'developer', '--expires', '30d')
    assert.match(key, /^cm_[\w-]{43}$/)
    const reply = await post(key)
    assert.equal(reply.status, 200, reply.text)
    assert.match(reply.text, /"object":"chat.completion"/)
    const listed = JSON.parse((await machine.do('gateway', 'key', 'list', '--json')).stdout)
    assert.deepEqual(
      listed.keys.map(({ name, role }: { name: string; role: string }) => [name, role]),
      [['laptop', 'developer']],
    )
    assert.equal((await machine.do('gateway', 'key', 'remove', 'laptop')).status, 0)
    assert.equal(errorOf(await post(key)).code, 'UNAUTHENTIC')
  })

  it('has written down whose keys there were, who was refused, and who asked, before what was answered, and never the prompt', async () => {
    // Refusals are told once a second.
    const events = await eventually(async () => {
      const { stdout } = await machine.do('audit', 'query', '--json')
      const lines = stdout.split('\n').filter((line) => /"(?:gateway|key)\./.test(line))
      assert.ok(lines.some((line) => line.includes('"gateway.refused"') && line.includes('"UNAUTHENTIC"')))
      return lines
    })
    const kinds = events.map((line) => z.object({ kind: z.string() }).parse(JSON.parse(line)).kind)
    assert.deepEqual(kinds.slice(0, 3), ['key.added', 'gateway.asked', 'gateway.answered'])
    for (const event of events.slice(0, 2)) assert.match(event, /"laptop"/)
    assert.ok(!events.join('').includes('PRIVATE'))
  })

  it('does a task that was asked for over HTTP, and brings what is held to an approver', async () => {
    const [service, approver] = [await add('robot', '--role', 'service'), await add('ada', '--role', 'approver')]
    const body = { request: 'read ../secret.txt', budget: { tokens: 100_000, money: 0.5 }, ms: 600_000 }
    const reply = await ask(url, '/v1/tasks', { method: 'POST', key: service, body })
    assert.equal(reply.status, 202, reply.text)
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(reply.text))
    const again = await ask(url, '/v1/tasks', { method: 'POST', key: service, body })
    assert.equal(JSON.parse(again.text).id, id, 'the same, while it is being done, is the same task')
    task = id
    const { text: begun } = await ask(url, `/v1/tasks/${id}`, { key: service })
    const { budget, begunAt, until } = JSON.parse(begun)
    assert.deepEqual(budget.limit, body.budget)
    assert.ok(Math.abs(until - begunAt - body.ms) < 1000, begun)
    const following = await follow(url, `/v1/tasks/${id}/events`, service)
    const asking = await follow(url, `/v1/approvals/events?task=${id}`, approver)
    const asked = await eventually(() => asking.events[0] ?? assert.fail('nothing is asked yet'), 30_000)
    asking.close()
    const question = viewSchema.parse(asked.data)
    const { agents, hosted } = JSON.parse((await machine.do('agents', '--json')).stdout)
    const workers = agents.filter(({ name }: { name: string }) => /-worker-\d$/.test(name))
    assert.deepEqual(
      workers.map(({ node, kind }: { node: string; kind: string }) => [node, kind]),
      Array.from({ length: 3 }, () => ['home', 'agent']),
    )
    assert.deepEqual(agents.find(({ name }: { name: string }) => name === `task/${id}`)?.kind, 'task')
    assert.ok(hosted.some(({ definition }: { definition: string }) => definition === 'worker'))
    const decided = { method: 'POST', key: approver, body: { answer: 'allow' } }
    assert.equal((await ask(url, `/v1/approvals/${question.id}`, decided)).status, 200)
    await following.ended
    const { data } = following.events.at(-1) ?? {}
    assert.deepEqual(Object(data).outcome, { ok: true, answer: '2 lines\na\nb', on: ['home'] })
  })

  it('has filed what a key asked for under its name, on every node that recorded something of it, until that is erased', async () => {
    const schema = z.object({
      node: z.string(),
      kind: z.string(),
      subject: z.string().optional(),
      facts: z.looseObject({}),
    })
    const events = async () => {
      const { stdout } = await machine.do('audit', 'query', '--json', '--trace', task)
      const lines = stdout.split('\n').filter((line) => line.includes(task))
      return lines.map((line) => schema.parse(JSON.parse(line))).filter(({ kind }) => kind !== 'model.used')
    }
    const before = await events()
    const [subject] = before.map((event) => event.subject)
    assert.ok(subject !== undefined)
    assert.deepEqual(
      before.filter((event) => event.subject !== subject),
      [],
    )
    assert.deepEqual([...new Set(before.map(({ node }) => node))].sort(), ['home', 'operator'])
    for (const kind of ['task.started', 'thought.answered', 'action.intended', 'approval.decided', 'action.ended'])
      assert.ok(
        before.some((event) => event.kind === kind),
        kind,
      )
    assert.match(JSON.stringify(before), /secret\.txt/)
    const auditor = await add('inspector', '--role', 'auditor')
    const shown = async () => (await ask(url, `/v1/audit?trace=${task}&limit=1000`, { key: auditor })).text
    assert.match(await shown(), /secret\.txt/)
    assert.equal((await machine.do('audit', 'erase', 'robot', '--yes')).status, 0)
    const after = await events()
    assert.deepEqual(
      after.map(({ kind, facts }) => [kind, facts]),
      before.map(({ kind }) => [kind, { erased: true }]),
    )
    const seen = await eventually(async () => {
      const text = await shown()
      assert.ok(!text.includes('secret.txt'), 'the gateway still shows it')
      return text
    })
    assert.match(seen, /"erased":true/)
  })

  it('says what is wrong with a key that is asked for', async () => {
    await add('desk', '--role', 'viewer')
    const key = (...words: string[]) => ['gateway', 'key', ...words, '--data', machine.data]
    await misused(key('add', 'desk', '--role', 'viewer'), /a key named "desk" already/)
    await misused(key('add', 'x', '--role', 'root'), /"root" is no role/)
    await misused(key('add', 'x'), /no role/)
    await misused(key('add', '--role', 'viewer'), /No key is named/)
    await misused(key('add', 'A B', '--role', 'viewer'), /is no name/)
    await misused(key('remove', 'nobody'), /no key named "nobody"/)
  })

  it('listens nowhere but on this machine', async () => {
    for (const where of ['0.0.0.0:8080', '192.168.1.5:8080', '[::]:8080', '127.evil.example:8080'])
      await misused(['up', '--gateway', where], /without TLS/)
    for (const where of ['http', '127.0.0.1', '99999', ':80'])
      await misused(['up', '--gateway', where], /is no address/)
    await misused(['up', '--gateway', '0', '--gateway-listen', '0'], /one gateway/)
    await misused(['up', '--gateway-listen', '0', '--gateway-key', 'x'], /needs its key/)
  })

  it('ends in good order', async () => {
    const ended = await machine.stop()
    assert.equal(ended?.status, 0, ended?.stderr)
    const { ok, node, gateway, data } = JSON.parse(ended?.stdout ?? '')
    assert.deepEqual([ok, node, gateway, data], [true, 'home', url, machine.data])
    assert.deepEqual(ended?.left(), [])
  })

  it('is remembered, until another place is said or none', () => {
    const recall = (values: Record<string, string>) => recallGateway(machine.data, values)
    assert.deepEqual(recall({}), { gateway: '0' })
    assert.deepEqual(recall({ 'gateway-listen': '8443' }), { 'gateway-listen': '8443' })
    assert.deepEqual(recall({ gateway: 'none' }), {})
  })

  it('says that its port is taken before it starts anything', async () => {
    const { port } = new URL(url)
    const { createServer } = await import('node:net')
    const other = createServer().listen(Number(port), '127.0.0.1')
    try {
      // As it would be remembered: the command is told no port.
      keepGateway(machine.data, { gateway: port })
      const ended = await machine.do('up', '--model', 'shipped')
      refused(ended, 4, /cannot listen at 127.0.0.1/)
      assert.doesNotMatch(ended.stderr, /nats-server/, 'before anything is started')
    } finally {
      other.close()
    }
  })
})
