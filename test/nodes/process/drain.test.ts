/** A node is taken out of use while it is asked as fast as it can answer: nothing that was asked is lost, and nothing more begins there. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Answer } from '../../../inference/backend.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import type { Shelf } from '../../../inference/shelf.js'
import type { MeshNode } from '../../../mesh/index.js'
import { openSession } from '../../../nodes/agents/model/privacy.js'
import { think } from '../../../nodes/agents/model/think.js'
import { Drain, drainName, readDrained, serveDrain } from '../../../nodes/process/drain.js'
import { openShelf, serveModels } from '../../../nodes/process/serve.js'
import { temporaryFolder } from '../../inference/folder.js'
import { markovModel } from '../../inference/markov.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../../kit/mesh.js'

const alphabet = await markovModel((token) => (token >= 97 && token < 122 ? token + 1 : 97))
const expected = 'abcdefghijklmnopqrstuvwxyz'.repeat(4).slice(0, 30)

const file = join(await temporaryFolder(), 'drained.json')

describe('a node that is drained', () => {
  let mesh: TestMesh
  let asker: MeshNode
  const shelves: Shelf[] = []
  /** Answers that each node has begun. */
  const begun = new Map<string, number>()
  const answered = (name: string): number => begun.get(name) ?? 0

  async function serving(name: string): Promise<MeshNode> {
    const node = await mesh.join(name, { roles: ['inference'] })
    const shelf = openShelf({ onFirst: () => begun.set(name, answered(name) + 1) })
    shelf.keep(await OnnxBackend.open({ folder: alphabet, slots: 4 }), [`GPU-${name}`])
    shelves.push(shelf)
    await serveModels(node, shelf)
    await serveDrain(node, { shelf, gpus: [`GPU-${name}`], ...(name === 'one' ? { file } : {}) })
    return node
  }

  before(async () => {
    mesh = await memoryMesh()
    await serving('one')
    await serving('two')
    asker = await mesh.join('asker', { roles: ['supervisor'] })
    await eventually(() => assert.equal(asker.nodes().filter(({ advert }) => advert['model']).length, 2))
  })
  after(async () => {
    await mesh.close()
    for (const shelf of shelves) await shelf.dispose()
  })

  const ask = async (seconds = 60): Promise<Answer> =>
    think(
      asker,
      { messages: [{ role: 'user', content: 'go' }], maxTokens: 30, temperature: 0 },
      {
        session: await openSession(asker, ''),
        actor: 'test',
        deadline: asker.now() + seconds * 1000,
        signal: new AbortController().signal,
        trace: '',
      },
    )
  const order = (draining: boolean, gpu: string | null, node = 'one') =>
    asker.ref(drainName(node)).ask(Drain, { draining, gpu })
  const load = (node: string) => {
    const { running = 0, queued = 0 } = shelves[node === 'one' ? 0 : 1]?.offers()[0] ?? {}
    return running + queued
  }

  for (const [what, gpu] of [
    ['as a whole', null],
    ['by its one GPU', 'GPU-one'],
  ] as const)
    it(`${what}, under load, loses no request and begins none`, async () => {
      let wanted = true
      const asked: Promise<Answer>[] = []
      const clients = Array.from({ length: 8 }, async () => {
        while (wanted) {
          const answer = ask()
          asked.push(answer)
          await answer
        }
      })
      await eventually(() => assert.ok(load('one') > 0 && load('two') > 0))
      await order(true, gpu)
      await eventually(() => assert.equal(load('one'), 0))
      const [before, was] = [asked.length, answered('one')]
      await eventually(() => assert.ok(asked.length > before + 10))
      assert.deepEqual([load('one'), answered('one')], [0, was])
      await order(false, gpu)
      await eventually(() => assert.ok(load('one') > 0))
      wanted = false
      await Promise.all(clients)
      for (const answer of await Promise.all(asked)) assert.equal(answer.text, expected)
    })

  it('is still drained when it is started again, and is not put to use by a file that cannot be read', async () => {
    await order(true, 'GPU-one')
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { node: false, gpus: ['GPU-one'] })
    assert.deepEqual(readDrained(file), { node: false, gpus: ['GPU-one'] })
    const shelf = shelves[0] ?? assert.fail()
    shelf.drain(false, [])
    const again = await mesh.join('three', { roles: ['inference'] })
    await serveDrain(again, { shelf, file })
    assert.match(shelf.offers()[0]?.draining ?? '', /GPU-one/)
    writeFileSync(file, 'nonsense')
    assert.throws(() => readDrained(file), { code: 'USAGE' })
    await order(false, 'GPU-one')
  })

  it('is refused for a GPU that it does not have', async () => {
    await assert.rejects(order(true, 'GPU-none'), { code: 'NOT_FOUND', hint: 'It has: GPU-one.' })
  })

  it('leaves nobody to ask where it was the last: whoever asks is told within its deadline', async () => {
    await Promise.all([order(true, null, 'one'), order(true, null, 'two')])
    await eventually(() =>
      assert.ok(asker.nodes().every(({ name, draining }) => draining || name === 'asker' || name === 'three')),
    )
    await assert.rejects(ask(1), { code: 'UNREACHABLE' })
    await Promise.all([order(false, null, 'one'), order(false, null, 'two')])
  })
})
