import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import { supervise, supervisor } from '../../mesh/actor/supervisor.js'
import type { MeshNode } from '../../mesh/node.js'
import type { Receive, Transport } from '../../mesh/transport/transport.js'
import type { ClawmeshError } from '../../policies/errors.js'
import { auditEvents } from '../kit/events.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../kit/mesh.js'

const Fall = message('test.fall', { request: nothing, reply: nothing })
const Stand = message('test.stand', { request: nothing, reply: nothing })

const child = actor('child', () => [
  on(Stand, () => null),
  on(Fall, () => {
    throw new TypeError('a bug')
  }),
])

/** A transport whose frames can be held back, and then all arrive in one turn, as a busy socket hands them over. */
function holding(transport: Transport) {
  const held: (() => void)[] = []
  let isHolding = false
  const hold = (receive: Receive): Receive => {
    return (subject, bytes) => (isHolding ? held.push(() => receive(subject, bytes)) : receive(subject, bytes))
  }
  return {
    transport: {
      ...transport,
      subscribe: (subject: string, receive: Receive) => transport.subscribe(subject, hold(receive)),
    },
    held,
    begin: () => {
      isHolding = true
    },
    end: () => {
      isHolding = false
      for (const pass of held.splice(0)) pass()
    },
  }
}

describe('a child that crashes as soon as it is started', () => {
  let mesh: TestMesh
  let here: MeshNode
  let there: MeshNode
  let wire: ReturnType<typeof holding>

  before(async () => {
    mesh = await memoryMesh()
    there = await mesh.join('there', { hosts: [child] })
    wire = holding(await mesh.connect())
    here = await mesh.join('here', { transport: wire.transport })
    await there.spawn(child, { as: 'greeter' })
    await here.ref('greeter').ask(Stand, null)
  })
  after(() => mesh.close())

  it('is started again, though the report of the crash arrives together with the answer to the order', async () => {
    const restarts: string[] = []
    wire.begin()
    const supervising = supervise(here, {
      name: 'keeper',
      children: [{ name: 'hasty', definition: 'child' }],
      onRestart: (_, place) => restarts.push(place),
    })
    await assert.rejects(there.ref('hasty').ask(Fall, null), /crashed: a bug/)
    await eventually(() => assert.equal(wire.held.length, 2))
    wire.end()
    const supervisor = await supervising
    await eventually(() => assert.deepEqual(restarts, ['there']))
    assert.equal(supervisor.placeOf('hasty'), 'there')
    await here.ref('hasty').ask(Stand, null)
    await supervisor.stop()
  })
})

it('a child starts on a node with the labels that it needs, which the authority alone gives, and on no other', async () => {
  const mesh = await memoryMesh()
  const here = await mesh.join('here', { hosts: [child], labels: ['gpu'] })
  const berlin = await mesh.join('there', { hosts: [child], labels: ['gpu', 'site=berlin'] })
  assert.deepEqual(berlin.self.certificate.labels, ['gpu', 'site=berlin'])
  const labels = ['site=berlin', 'gpu']
  const children = [1, 2, 3].map((number) => ({ name: `child-${number}`, definition: 'child', labels }))
  const supervisor = await supervise(here, { name: 'keeper', children })
  assert.deepEqual(
    children.map(({ name }) => supervisor.placeOf(name)),
    ['there', 'there', 'there'],
  )
  await supervisor.stop()
  await mesh.close()
})

describe('a supervisor below another one, on another machine', () => {
  let mesh: TestMesh
  let top: MeshNode
  let middle: MeshNode
  let below: MeshNode
  /** The node in the middle says nothing more to anybody. */
  let isDumb = false
  const intensity = { restarts: 1, withinMs: 60_000 }
  const office = (node: MeshNode) => [
    supervisor(node, 'office', {
      intensity,
      children: ['desk', 'phone'].map((name) => ({ name, definition: 'child' })),
    }),
  ]
  const standing = async (name: string) => top.ref(name).ask(Stand, null)
  const crash = (name: string) => assert.rejects(top.ref(name).ask(Fall, null), /crashed: a bug/)

  before(async () => {
    mesh = await memoryMesh()
    top = await mesh.join('top')
    below = await mesh.join('below', { hosts: [child] })
    const carrier = await mesh.connect()
    const publish: Transport['publish'] = (subject, bytes) => isDumb || carrier.publish(subject, bytes)
    middle = await mesh.join('middle', { hosts: office, transport: { ...carrier, publish } })
  })
  after(() => mesh.close())

  it('goes down itself when its patience ends, with all below it, and is started afresh; at the top it is an error and an event', async () => {
    const restarts: string[] = []
    const given: { child: string; error: ClawmeshError }[] = []
    const house = await supervise(top, {
      name: 'house',
      children: [{ name: 'office-1', definition: 'office' }],
      intensity,
      onRestart: (name, _, reason) => restarts.push(`${name}: ${reason}`),
      onGiveUp: (name, error) => given.push({ child: name, error }),
    })
    for (const life of [1, 2]) {
      await standing('phone')
      await crash('desk')
      await standing('desk')
      await crash('desk')
      if (life === 1) await eventually(() => assert.equal(restarts.length, 1))
    }
    assert.match(
      restarts[0] ?? '',
      /^office-1: it crashed: Supervisor "office-1" gave up: Actor "desk" went down 2 times/,
    )
    await eventually(() => assert.equal(given.length, 1))
    assert.deepEqual([given[0]?.child, given[0]?.error.code], ['office-1', 'RESTARTS_EXHAUSTED'])
    assert.match(
      given[0]?.error.message ?? '',
      /"office-1" went down 2 times .* gave up: Actor "desk" went down 2 times/,
    )
    await assert.rejects(top.ref('phone').ask(Stand, null, { timeoutMs: 300 }), /UNREACHABLE|No node/)
    await Promise.all([top.audit.flush(60_000), middle.audit.flush(60_000)])
    const events = (await auditEvents(mesh)).filter(({ kind }) => kind === 'actor.abandoned')
    assert.deepEqual(
      events.map(({ facts: { name, supervisor: of, escalates } }) => `${name} of ${of}: ${escalates}`).sort(),
      ['desk of office-1: true', 'desk of office-1: true', 'office-1 of house: false'],
    )
    await house.stop()
  })

  it('takes over what its former life left on other nodes, when its own node is gone', async () => {
    const spare = await mesh.join('spare', { hosts: office })
    const house = await supervise(top, {
      name: 'house',
      children: [{ name: 'office-2', definition: 'office', prefers: 'middle' }],
    })
    await standing('phone')
    const aside = await mesh.join('aside', { hosts: [child] })
    // It keeps what it has, and takes nothing new.
    await below.directory.describe({}, true)
    isDumb = true
    await middle.close()
    assert.ok(below.directory.locate('phone'))
    await eventually(() => assert.equal(house.placeOf('office-2'), 'spare'))
    await eventually(() => assert.equal(top.directory.locate('phone')?.certificate.name, 'aside'))
    await standing('desk')
    await crash('phone')
    await standing('phone')
    await house.stop()
    await eventually(() => assert.equal(top.directory.locate('desk') ?? top.directory.locate('phone'), undefined))
    await Promise.all([spare.close(), aside.close()])
  })
})
