import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { it } from 'node:test'
import { ApiKeys } from '../../../nodes/gateway/http/keys.js'
import { openGateway } from '../../../nodes/gateway/server.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, temporaryFolder } from '../../kit/mesh.js'
import { ask, errorOf } from './stand.js'

it(
  'a gateway of a mesh without a model lives, is not ready, and says so at once, as of a model that drains',
  onGateway(async ({ mesh, gateway, key }) => {
    assert.equal((await ask(gateway.url, '/healthz')).status, 200)
    const body = { model: 'any', messages: [{ role: 'user', content: 'hello' }] }
    for (const reply of [
      await ask(gateway.url, '/readyz'),
      await ask(gateway.url, '/v1/chat/completions', { method: 'POST', key, body }),
    ]) {
      assert.equal(reply.status, 503)
      assert.equal(errorOf(reply).code, 'UNREACHABLE')
      assert.equal(reply.headers['retry-after'], '1')
    }
    const late = await mesh.join('late', { roles: ['inference'], advert: { model: 'any', zone: 'mesh' } })
    await eventually(async () => assert.equal((await ask(gateway.url, '/readyz')).status, 200))
    const asked = (path: string, more: object) => ask(gateway.url, path, { method: 'POST', key, body: more })
    for (const others of [false, true]) {
      if (others) await mesh.join('other', { roles: ['inference'], advert: { model: 'kept', zone: 'mesh' } })
      else await late.directory.describe({}, true)
      await eventually(async () => assert.equal((await ask(gateway.url, '/readyz')).status, others ? 200 : 503))
      for (const reply of [
        await asked('/v1/chat/completions', body),
        await asked('/v1/embeddings', { model: 'any', input: 'hello' }),
      ]) {
        assert.deepEqual([reply.status, errorOf(reply).code, reply.headers['retry-after']], [503, 'UNREACHABLE', '1'])
        assert.match(errorOf(reply).message, /"any" takes no new requests now: its node is draining\./)
      }
    }
    assert.equal((await asked('/v1/chat/completions', { ...body, model: 'unknown' })).status, 404)
  }),
)

it(
  'a gateway is not ready while the server of each model is gone, and takes questions all the same',
  onGateway(async ({ mesh, gateway, key }) => {
    const counters = { slots: 1, running: 0, queued: 0, queuedTokens: 0 }
    const offer = { model: 'any', modalities: ['text'], context: null, ...counters }
    const here = { model: 'any', zone: 'mesh', offers: [offer] }
    const gone = { ...here, offers: [{ ...offer, away: 'its server does not answer' }] }
    const first = await mesh.join('first', { roles: ['inference'], advert: gone })
    await eventually(async () => {
      const reply = await ask(gateway.url, '/readyz')
      assert.deepEqual([reply.status, errorOf(reply).code, reply.headers['retry-after']], [503, 'UNREACHABLE', '1'])
      assert.match(errorOf(reply).message, /^No model that is served answers now: its server does not answer\.$/)
    })
    const body = { model: 'unknown', messages: [{ role: 'user', content: 'hello' }] }
    assert.equal((await ask(gateway.url, '/v1/chat/completions', { method: 'POST', key, body })).status, 404)
    const second = await mesh.join('second', { roles: ['inference'], advert: here })
    const ready = async (status: number, models?: number) => {
      const reply = await ask(gateway.url, '/readyz')
      assert.deepEqual([reply.status, JSON.parse(reply.text).models], [status, models], reply.text)
    }
    await eventually(() => ready(200, 1))
    await second.directory.describe(gone)
    await eventually(() => ready(503))
    await first.directory.describe(here)
    await eventually(() => ready(200, 1))
  }),
)

interface Front {
  mesh: Awaited<ReturnType<typeof memoryMesh>>
  gateway: Awaited<ReturnType<typeof openGateway>>
  key: string
}

/** A gateway of a mesh that has nobody else yet. */
function onGateway(run: (front: Front) => Promise<void>): () => Promise<void> {
  return async () => {
    const data = temporaryFolder()
    const mesh = await memoryMesh()
    const node = await mesh.join('front', { roles: ['gateway'] })
    const gateway = await openGateway({ node, data, host: '127.0.0.1', port: 0 })
    try {
      await run({ mesh, gateway, key: new ApiKeys(data).add('me', 'admin', Date.now()) })
    } finally {
      await gateway.close()
      await mesh.close()
      rmSync(data, { recursive: true, force: true })
    }
  }
}
