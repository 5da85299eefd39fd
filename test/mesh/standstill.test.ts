/** A process that stands still, with all the nodes that it has: nobody was there to miss anybody, and work that is under way goes on. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { actor, message, nothing, on } from '../../mesh/index.js'
import { leaseMs } from '../../mesh/lease.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh } from '../kit/mesh.js'

const Wait = message('standstill.wait', { request: nothing, reply: nothing })

it('what stands still for longer than a lease, and everybody with it, was cut off from nobody', async (t) => {
  const mesh = await memoryMesh()
  t.after(() => mesh.close())
  const nodes = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => mesh.join(name)))
  const [here, there] = nodes
  assert.ok(here && there)
  let end: () => void = () => undefined
  await there.spawn(
    actor('worker', () => [on(Wait, () => new Promise<null>((resolve) => (end = () => resolve(null))))]),
  )
  const cutOff: string[] = []
  for (const { name, directory } of nodes) {
    directory.onCutOff(() => cutOff.push(name))
    await eventually(() => assert.equal(directory.nodes().length, nodes.length))
  }
  const asked = here.ref('worker').ask(Wait, null, { timeoutMs: 60_000 })
  const beats = () => nodes.map(({ self }) => here.directory.newestOf(self.certificate.holder)?.beat ?? 0)
  await eventually(() => assert.ok(Math.min(...beats()) > 1))
  const before = beats()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, leaseMs + 300)
  // All have beaten again, and heard of each other.
  await eventually(() => assert.ok(beats().every((beat, index) => beat > (before[index] ?? 0) + 1)))
  end()
  await asked
  assert.deepEqual(cutOff, [])
})
