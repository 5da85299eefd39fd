import assert from 'node:assert/strict'
import { it } from 'node:test'
import { collect } from '../../inference/backend.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { Generate, inferenceName } from '../../inference/service.js'
import { localMesh } from '../../mesh/index.js'
import { offersOf } from '../../nodes/process/placing.js'
import { serveModel } from '../../nodes/process/serve.js'
import { markovModel } from '../inference/markov.js'
import { eventually } from '../kit/eventually.js'

it('a node says how fast its model is once that was measured, and what it has to do, and goes on saying the rest', async () => {
  const mesh = await localMesh()
  const backend = await OnnxBackend.open({ folder: await markovModel(() => 97), slots: 2 })
  const offer = () => {
    const node = mesh.directory.node(mesh.name)
    assert.ok(node && node.advert['model'] === backend.model.name)
    return offersOf([node])[0] ?? assert.fail('it offers nothing')
  }
  const ask = (content: string, maxTokens: number) =>
    collect(
      mesh
        .ref(inferenceName(mesh.name))
        .stream(Generate, { messages: [{ role: 'user', content }], maxTokens, temperature: 0 }, { timeoutMs: 60_000 }),
    )
  try {
    await serveModel(mesh, backend)
    const speed = await backend.measured
    await eventually(() => assert.deepEqual(offer().speed, speed))
    assert.equal(offer().zone, 'mesh')
    assert.equal(offer().digest, backend.model.digest)
    // More than the slots, for longer than a beat: what is under way and what waits is heard.
    let done = false
    const flood = (async () => {
      while (!done) await Promise.all(Array.from({ length: 5 }, (_, i) => ask(`say ${i}`, 200)))
    })()
    await eventually(() => assert.deepEqual([offer().running, offer().queued], [2, 3]))
    done = true
    await flood
    await eventually(() => assert.deepEqual([offer().running, offer().queued], [0, 0]))
    // What was learned from answers takes the place of what was measured at load; an answer whose reader was slow, as here beside others, teaches nothing.
    await eventually(async () => {
      await ask('say more', 200)
      assert.notDeepEqual(offer().speed, speed)
    })
  } finally {
    await mesh.close()
    await backend.dispose()
  }
})
