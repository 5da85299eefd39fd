import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { addressesOf } from '../../../../mesh/address.js'
import { agent, runTask } from '../../../../nodes/agents/agent/agent.js'
import { type Memory, openMemory } from '../../../../nodes/agents/memory/memory.js'
import { rank } from '../../../../nodes/agents/memory/rank.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import { type MeshFactory, memoryMesh, natsMesh, type TestMesh } from '../../../kit/mesh.js'
import { call, observed, RuleBackend } from '../../../kit/rules.js'

const open = { label: 'PUBLIC', categories: [] } as const
const confidential = { label: 'CONFIDENTIAL', categories: ['FIN'] } as const
const source = 'a test'

describe('what an agent remembers', () => {
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  async function start(factory: MeshFactory = memoryMesh) {
    const mesh = await factory()
    undo.push(() => mesh.close())
    return mesh
  }

  /** As another process would: a connection of its own, and nothing in common but what the broker holds. */
  async function memoryOf(mesh: TestMesh, of = 'clerk', most?: number): Promise<Memory> {
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const transport = await ('connectAsAuthority' in mesh
      ? (mesh as { connectAsAuthority(): ReturnType<TestMesh['connect']> }).connectAsAuthority()
      : mesh.connect())
    const memory = await openMemory({
      transport,
      addresses,
      key: authority.tasksKey,
      of,
      ...(most === undefined ? {} : { most }),
    })
    undo.push(() => transport.close())
    undo.push(() => memory.close())
    return memory
  }

  it('is there after a restart, for it alone, and gone when it is forgotten', async () => {
    const mesh = await start(natsMesh)
    const before = await memoryOf(mesh)
    const { id } = await before.remember('Ada pays in advance.', { seen: confidential, source })
    await before.remember('Bo pays late.', { seen: open, source })
    before.close()
    const after = await memoryOf(mesh)
    assert.deepEqual(
      after.recall('Who pays in advance?').map(({ text, seen }) => [text, seen.label]),
      [['Ada pays in advance.', 'CONFIDENTIAL']],
    )
    assert.deepEqual((await memoryOf(mesh, 'auditor')).list(), [])
    assert.equal(await after.forget(id), true)
    const last = await memoryOf(mesh)
    assert.deepEqual(
      last.list().map(({ text }) => text),
      ['Bo pays late.'],
    )
    // Over what was forgotten, too.
    await last.remember('Ada pays in advance.', { seen: open, source })
    assert.equal(await last.erase(), 2)
    assert.deepEqual((await memoryOf(mesh)).list(), [])
  })

  it('only rises in label, is bounded, and holds the same text once', async () => {
    const memory = await memoryOf(await start(), 'clerk', 2)
    await memory.remember('one', { seen: confidential, source })
    assert.deepEqual((await memory.remember(' one ', { seen: open, source })).seen, confidential)
    await memory.remember('two', { seen: open, source })
    await assert.rejects(memory.remember('three', { seen: open, source }), /holds 2 texts and no more/)
    assert.deepEqual(
      memory
        .list()
        .map(({ text }) => text)
        .sort(),
      ['one', 'two'],
    )
  })

  it('cannot be moved to another agent by whoever holds the broker', async () => {
    const mesh = await start()
    const memory = await memoryOf(mesh)
    const { id } = await memory.remember('one', { seen: open, source })
    const { memory: name, memoryKey } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const bucket = await (await mesh.connect()).bucket(name)
    const entry = await bucket.get(`${memoryKey('clerk')}.${id}`)
    assert.ok(entry?.value)
    await bucket.put(`${memoryKey('auditor')}.${id}`, entry.value)
    assert.deepEqual((await memoryOf(mesh, 'auditor')).list(), [])
  })

  it('raises the label of the run that recalls it, and of nobody else', async () => {
    const mesh = await start()
    const memory = await memoryOf(mesh)
    await memory.remember('The Meyer account is overdrawn.', { seen: confidential, source })
    const model = new RuleBackend((request) => {
      const question = request.messages[1]?.content ?? ''
      const saw = observed(request)
      if (saw !== undefined) return call('finish', { answer: saw })
      return question.startsWith('Keep') ? call('remember', { text: question }) : call('recall', { question })
    })
    await serveModel(await mesh.join('model', { roles: ['inference'] }), model)
    const node = await mesh.join('place', { roles: ['worker', 'supervisor'] })
    const ref = await node.spawn(agent(node, { name: 'clerk', instructions: 'Remember.', memory }))
    const kept = await runTask(ref, 'Keep: the kettle is blue')
    assert.match(kept.answer, /remembered as/)
    const harmless = await runTask(ref, 'Which kettle is blue?')
    assert.match(harmless.answer, /\(clerk, task .*\): Keep: the kettle is blue/)
    assert.deepEqual(harmless.seen, { label: 'INTERNAL', categories: [] })
    const told = await runTask(ref, 'What about the Meyer account?')
    assert.match(told.answer, /overdrawn/)
    assert.deepEqual(told.seen, confidential)
  })
})

it('texts are ranked by the words that they share with a question', () => {
  const texts = ['the cat sat on the mat', 'the dog ate the report', 'reports on cats, cats and cats'].map((text) => ({
    text,
  }))
  assert.deepEqual(
    rank('cat', texts).map(({ text }) => text.slice(0, 7)),
    ['reports', 'the cat'],
  )
  assert.deepEqual(rank('Étage', [{ text: 'etages' }]).length, 1)
  assert.deepEqual(rank('nothing of it', texts.slice(1, 2)), [])
})
