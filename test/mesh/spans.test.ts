/** Spans of calls over several nodes, as a collector of OpenTelemetry would get them. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import type { Span, SpanSink } from '../../mesh/calls/spans.js'
import { actor, type MeshNode, message, on } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../kit/mesh.js'

const text = z.string()
const Inner = message('test.inner', { request: text, reply: text })
const Outer = message('test.outer', { request: text, reply: text })
const Later = message('test.later', { request: text, reply: text })
const Count = message('test.count', { request: z.number(), item: z.number() })

describe('spans', () => {
  let mesh: TestMesh
  let home: MeshNode
  let release: () => void
  const spans: (Span & { node: string })[] = []
  const closed: string[] = []
  const sink = (node: string): SpanSink => ({
    take: (span) => void spans.push({ ...span, node }),
    close: async () => void closed.push(node),
  })
  const of = (task: string) => spans.filter(({ trace }) => trace === task.replaceAll('-', ''))
  const named = (task: string, name: string, kind: Span['kind']) =>
    of(task).find((span) => span.name === name && span.kind === kind)

  before(async () => {
    mesh = await memoryMesh()
    home = await mesh.join('home', { spans: sink('home') })
    const far = await mesh.join('far', { spans: sink('far') })
    const quiet = await mesh.join('quiet')
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    await quiet.spawn(actor('inner', () => [on(Inner, (said) => said.toUpperCase())]))
    await far.spawn(
      actor('outer', () => [
        on(Outer, async (said, { trace }) => {
          if (said === 'fail') throw new ClawmeshError('TASK_FAILED', 'It is said to.')
          return far.ref('inner').ask(Inner, said, { trace })
        }),
        on(Later, (said, { trace }) => {
          void released.then(() => far.ref('inner').ask(Inner, said, { trace }))
          return said
        }),
        on(Count, async function* (most) {
          for (let number = 0; number < most; number += 1) {
            await far.ref('inner').ask(Inner, String(number))
            yield number
          }
        }),
      ]),
    )
    await home.directory.wait(() => home.find('outer'), 60_000)
    await far.directory.wait(() => far.find('inner'), 60_000)
  })
  after(() => mesh.close())

  it('hang together over nodes, and by the id of the task', async () => {
    const task = randomUUID()
    const answer = await home.work('task', { task, actor: 'test' }, () =>
      home.ref('outer').ask(Outer, 'canary', { trace: task }),
    )
    assert.equal(answer, 'CANARY')
    const chain = [
      named(task, 'task', 'internal'),
      named(task, 'test.outer', 'client'),
      named(task, 'test.outer', 'server'),
      named(task, 'test.inner', 'client'),
    ]
    for (const [index, span] of chain.entries()) {
      assert.ok(span, `${index} of ${JSON.stringify(of(task))}`)
      assert.equal(span.parent, chain[index - 1]?.id)
      assert.ok(span.start <= span.end && span.start >= (chain[index - 1]?.start ?? 0))
    }
    assert.deepEqual([chain[2]?.node, chain[2]?.from, chain[2]?.actor], ['far', 'home', 'outer'])
    // A node that takes none makes none, and does its work.
    assert.equal(named(task, 'test.inner', 'server'), undefined)
    assert.doesNotMatch(JSON.stringify(spans), /canary/i)
  })

  it('say how a call failed', async () => {
    const task = randomUUID()
    const failed = home.work('task', { task, actor: 'test' }, () => home.ref('outer').ask(Outer, 'fail'))
    await assert.rejects(failed, { code: 'TASK_FAILED' })
    assert.deepEqual(
      of(task).map(({ kind, error }) => [kind, error]),
      [
        ['server', 'TASK_FAILED'],
        ['client', 'TASK_FAILED'],
        ['internal', 'TASK_FAILED'],
      ],
    )
  })

  it('last as long as a stream, and have what it does as their parts', async () => {
    const task = randomUUID()
    for await (const item of home.ref('outer').stream(Count, 50, { trace: task })) if (item === 2) break
    await eventually(() => assert.ok(named(task, 'test.count', 'server')))
    const [client, server] = [named(task, 'test.count', 'client'), named(task, 'test.count', 'server')]
    assert.equal(server?.parent, client?.id)
    assert.equal(server?.error, 'CANCELLED')
    const inner = of(task).filter(({ name }) => name === 'test.inner')
    assert.ok(inner.length >= 3)
    for (const { parent } of inner) assert.equal(parent, server?.id)
  })

  it('have no part in what an actor goes on with after its answer', async () => {
    const task = randomUUID()
    await home.ref('outer').ask(Later, 'x', { trace: task })
    await eventually(() => assert.ok(named(task, 'test.later', 'server')))
    release()
    const late = await eventually(() => named(task, 'test.inner', 'client') ?? assert.fail('not yet'))
    assert.equal(late.parent, undefined)
  })

  it('belong to their task alone, whatever work they are in', async () => {
    const [task, other] = [randomUUID(), 'a task of another form']
    await home.work('task', { task, actor: 'test' }, () => home.ref('outer').ask(Outer, 'x', { trace: other }))
    assert.equal(of(task).length, 1)
    const foreign = spans.filter(({ name, kind }) => name === 'test.outer' && kind === 'client').at(-1)
    assert.match(foreign?.trace ?? '', /^[0-9a-f]{32}$/)
    assert.equal(foreign?.parent, undefined)
  })

  it('go to their sink until the node has left', async () => {
    await home.close()
    assert.deepEqual(closed, ['home'])
  })
})
