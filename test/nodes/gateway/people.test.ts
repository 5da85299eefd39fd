/** Policies of a mesh's own, in its data folder, at a gateway that runs. */
import assert from 'node:assert/strict'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { Generate, inferenceName } from '../../../inference/service.js'
import { actor, on } from '../../../mesh/index.js'
import { ApiKeys } from '../../../nodes/gateway/http/keys.js'
import { openGateway } from '../../../nodes/gateway/server.js'
import { ownPeopleFile } from '../../../nodes/people.js'
import { serveModel } from '../../../nodes/process/serve.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { auditEvents } from '../../kit/events.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'
import { ask, cloud, errorOf, shipped } from './stand.js'

describe("a mesh's own policies of people", () => {
  const data = temporaryFolder()
  const undo: (() => unknown)[] = [() => rmSync(data, { recursive: true, force: true })]
  let mesh: TestMesh
  let call: (path: string, body?: object) => ReturnType<typeof ask>
  const own = (text: string) => writeFileSync(ownPeopleFile(data), text)
  const open = async () => {
    const node = await mesh.join('front', { roles: ['supervisor', 'gateway'] })
    return openGateway({ node, data, host: '127.0.0.1', port: 0, limits: { answerMs: 3000 } })
  }

  before(async () => {
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    await mesh.join('far', { roles: ['inference'], advert: { model: cloud, zone: 'elsewhere' } })
    const key = new ApiKeys(data).add('laptop', 'developer', Date.now())
    own('permit (principal, action == Action::"readCost", resource);')
    await assert.rejects(open(), /people\.cedar.*readCosts/)
    rmSync(ownPeopleFile(data))
    const gateway = await open()
    undo.push(() => gateway.close())
    const headers = { accept: 'application/json, text/event-stream' }
    call = (path, body) => ask(gateway.url, path, { key, headers, ...(body ? { method: 'POST', body } : {}) })
    await eventually(async () => assert.match((await call('/v1/models')).text, /cloud/))
  })
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })
  const question = { model: cloud, messages: [{ role: 'user', content: 'hello' }] }

  it('count from the moment when they are there, on record before they let anybody in', async () => {
    const before = await call('/v1/nodes')
    assert.deepEqual([before.status, /no policy permits it/.test(before.text)], [403, true])
    own('@id("look") permit (principal == User::"laptop", action == Action::"readNodes", resource);')
    assert.equal((await call('/v1/nodes')).status, 200)
    const loaded = (await auditEvents(mesh)).filter(({ kind }) => kind === 'policy.loaded').map(({ facts }) => facts)
    assert.match(String(loaded.at(-1)?.['text']), /"look"/)
    assert.ok(loaded.at(-1)?.['version'] !== loaded[0]?.['version'])
  })

  it('forbid a model, a tool and a task by name, and say by which policy', async () => {
    own(`@id("home") forbid (principal, action == Action::"askModel", resource == Model::"${cloud}");
      @id("dry") forbid (principal, action == Action::"useTool", resource == Tool::"write_note");
      @id("mine") forbid (principal, action == Action::"readTasks", resource == Task::"7");`)
    for (const model of [cloud, 'auto']) {
      const refused = await call('/v1/chat/completions', { ...question, model })
      assert.equal(refused.status, 403, refused.text)
      assert.match(errorOf(refused).message, /may not ask the model cloud: forbidden by own:home/)
    }
    const listed = await call('/mcp', { jsonrpc: '2.0', id: 1, method: 'tools/list' })
    assert.deepEqual([/read_file/.test(listed.text), /write_note/.test(listed.text)], [true, false], listed.text)
    assert.match((await call('/v1/tasks/7')).text, /forbidden by own:mine/)
    assert.notEqual((await call('/v1/tasks/8')).status, 403)
    await call('/mcp', { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'write_note', arguments: {} } })
    await eventually(async () => {
      const refused = (await auditEvents(mesh)).filter(({ kind }) => kind === 'gateway.refused')
      for (const policy of ['own:mine', 'own:home', 'own:dry'])
        assert.ok(
          refused.some(({ facts }) => String(facts['reason']).includes(policy)),
          policy,
        )
    })
  })

  it('that do not hold let nobody do anything until they are mended', async () => {
    own('permit (principal, action, resource')
    assert.equal((await call('/v1/whoami')).status, 500)
    assert.equal((await call('/healthz')).status, 200)
    rmSync(ownPeopleFile(data))
    assert.equal((await call('/v1/whoami')).status, 200)
  })

  it('that are a link to nothing are not as if there were none', async () => {
    symlinkSync('nowhere', ownPeopleFile(data))
    assert.equal((await call('/v1/whoami')).status, 500)
    rmSync(ownPeopleFile(data))
    assert.equal((await call('/v1/whoami')).status, 200)
  })

  it('that overflow the stack of Cedar can be mended like others', async () => {
    const deep = 5000
    own(`permit (principal, action, resource) when { ${'('.repeat(deep)}true${')'.repeat(deep)} };`)
    assert.equal((await call('/v1/whoami')).status, 500)
    own('@id("look") permit (principal == User::"laptop", action == Action::"readNodes", resource);')
    assert.equal((await call('/v1/nodes')).status, 200)
  })

  it('keep `auto` from a model that came into the mesh after they let the question in', async () => {
    own(`@id("not that") forbid (principal, action == Action::"askModel", resource == Model::"${shipped}");`)
    const early = await mesh.join('early', { roles: ['inference'], advert: { model: 'early', zone: 'mesh' } })
    let reached: () => void = () => undefined
    const isReached = new Promise<void>((resolve) => {
      reached = resolve
    })
    let lose: () => void = () => undefined
    const isLost = new Promise<void>((resolve) => {
      lose = resolve
    })
    // A node that is lost while it answers.
    const failing = actor('inference', () => [
      on(Generate, async function* () {
        reached()
        await isLost
        yield* []
        throw new ClawmeshError('UNREACHABLE', 'The node was lost.')
      }),
    ])
    await early.spawn(failing, { as: inferenceName('early') })
    await eventually(async () => assert.match((await call('/v1/models')).text, /early/))
    const answer = call('/v1/chat/completions', { ...question, model: 'auto', max_tokens: 4 })
    await isReached
    const backend = await OnnxBackend.open({ folder: shippedModelFolder })
    undo.push(() => backend.dispose())
    await serveModel(await mesh.join('late', { roles: ['inference'] }), backend)
    await eventually(async () => assert.match((await call('/v1/models')).text, new RegExp(shipped)))
    lose()
    const { status, text } = await answer
    assert.ok(status >= 500, text)
    assert.equal((await call('/v1/chat/completions', { ...question, model: 'auto' })).status, 403)
  })
})
