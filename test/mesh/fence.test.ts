/** A node that the others have given up begins no effect, and what was asked of it is broken off. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import type { MeshNode } from '../../mesh/node.js'
import type { Bucket, Transport } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../kit/mesh.js'

const Work = message('fence.work', { request: nothing, reply: nothing })

describe('a node that is cut off for longer than its lease', () => {
  let mesh: TestMesh
  let here: MeshNode
  let there: MeshNode
  let isCut = false
  /** What was sent into the cable while it was out; it comes through when it is back. */
  let held: (() => void)[] = []
  const plugged = () => (isCut ? new Promise<void>((resolve) => held.push(resolve)) : Promise.resolve())
  const plugIn = () => {
    isCut = false
    for (const go of held) go()
    held = []
  }

  const cable = (transport: Transport): Transport => ({
    ...transport,
    bucket: async (name) => {
      const bucket = await transport.bucket(name)
      const cut: Bucket = {
        ...bucket,
        get: (key) => plugged().then(() => bucket.get(key)),
        put: (key, value) => plugged().then(() => bucket.put(key, value)),
        swap: (key, value, revision) => plugged().then(() => bucket.swap(key, value, revision)),
        delete: (key, revision) => bucket.delete(key, revision),
        watch: (changed) => bucket.watch((entry) => void plugged().then(() => changed(entry))),
      }
      return cut
    },
    log: (stream) => {
      const log = transport.log(stream)
      return {
        append: (subject, id, bytes) => plugged().then(() => log.append(subject, id, bytes)),
        read: (from) => log.read(from),
        follow: (from, signal) => log.follow(from, signal),
        last: () => log.last(),
        remove: (sequence) => log.remove(sequence),
      }
    },
  })

  before(async () => {
    mesh = await memoryMesh()
    here = await mesh.join('here')
    there = await mesh.join('there', { transport: cable(await mesh.connect()) })
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
    isCut = true
    const intended = intend(1)
    const refused = assert.rejects(intended, (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE')
    await eventually(() => assert.equal(here.directory.node('there'), undefined))
    await given
    plugIn()
    await refused
    await eventually(() => assert.ok(brokenOff))
    await eventually(() => assert.ok(here.directory.node('there')))
    await intend(2)
  })
})
