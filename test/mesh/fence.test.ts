/** A node that the others have given up begins no effect, and what was asked of it is broken off. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import type { MeshNode } from '../../mesh/node.js'
import { ClawmeshError } from '../../policies/errors.js'
import { Cable } from '../kit/cable.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../kit/mesh.js'

const Work = message('fence.work', { request: nothing, reply: nothing })

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
    await there.spawn(
      actor('worker', () => [
        on(
          Work,
          (_, { signal }) =>
            new Promise<null>((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                brokenOff = true
                reject(signal.reason)
              })
            }),
        ),
      ]),
    )
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
})
