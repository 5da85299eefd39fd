/** A node that the others have given up begins no effect, and what was asked of it is broken off. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import { addressesOf } from '../../mesh/address.js'
import type { MeshNode } from '../../mesh/node.js'
import { ClawmeshError } from '../../policies/errors.js'
import { Cable } from '../kit/cable.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../kit/mesh.js'

const Work = message('fence.work', { request: nothing, reply: nothing })

/** Works until it is broken off. */
const working = (name: string, onBrokenOff: () => void = () => undefined) =>
  actor(name, () => [
    on(
      Work,
      (_, { signal }) =>
        new Promise<null>((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            onBrokenOff()
            reject(signal.reason)
          })
        }),
    ),
  ])

describe('a node that is cut off for longer than its lease', () => {
  let mesh: TestMesh
  let here: MeshNode
  let there: MeshNode
  const cable = new Cable()

  before(async () => {
    mesh = await memoryMesh()
    here = await mesh.join('here')
    there = await mesh.join('there', { transport: cable.through(await mesh.connect()) })
  })
  after(() => mesh.close())

  it('does not do what it intended meanwhile, and its work for others is over', async () => {
    const intend = (n: number) =>
      there.audit.intend({ kind: 'action.intended', trace: 'task', actor: 'worker', facts: { n } })
    let brokenOff = false
    await there.spawn(working('worker', () => (brokenOff = true)))
    await intend(0)
    const asked = here.ref('worker').ask(Work, null, { timeoutMs: 60_000 })
    const given = assert.rejects(asked, (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE')
    await eventually(() => assert.ok(here.directory.locate('worker')))
    cable.pull()
    const intended = intend(1)
    const refused = assert.rejects(intended, (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE')
    await eventually(() => assert.equal(here.directory.node('there'), undefined))
    await given
    cable.plugIn()
    await refused
    await eventually(() => assert.ok(brokenOff))
    await eventually(() => assert.ok(here.directory.node('there')))
    await intend(2)
  })

  it('and only seemed to be hears of what it asked that it may ask again', async () => {
    await here.spawn(working('clerk'))
    const asked = there.ref('clerk').ask(Work, null, { timeoutMs: 60_000 })
    const heard = assert.rejects(
      asked,
      (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE' && error.retry,
    )
    await eventually(() => assert.ok(there.directory.locate('clerk')))
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const bucket = await (await mesh.connect()).bucket(addresses.directory)
    await bucket.delete(addresses.nodeKey('there'))
    await heard
  })
})
