import assert from 'node:assert/strict'
import { it } from 'node:test'
import { shippedModelFolder } from '../../inference/models.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { localMesh } from '../../mesh/index.js'
import { offersOf } from '../../nodes/process/placing.js'
import { advertiseSpeed, serveModel } from '../../nodes/process/serve.js'

it('a node says how fast its model is once that was measured, and goes on saying the rest', async () => {
  const mesh = await localMesh()
  const backend = await OnnxBackend.open({ folder: shippedModelFolder })
  try {
    await serveModel(mesh, backend)
    assert.equal(backend.speed, undefined)
    await advertiseSpeed(mesh, backend)
    const node = mesh.directory.node(mesh.name)
    assert.ok(node && node.advert['model'] === backend.model.name)
    const [offer] = offersOf([node])
    assert.deepEqual(offer?.speed, await backend.measured)
    assert.ok(offer?.speed && offer.zone === 'mesh')
  } finally {
    await mesh.close()
    await backend.dispose()
  }
})
