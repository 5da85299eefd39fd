import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import { supervise } from '../../mesh/actor/supervisor.js'
import type { MeshNode } from '../../mesh/node.js'
import type { Receive, Transport } from '../../mesh/transport/transport.js'
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
