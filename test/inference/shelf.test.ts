/** Models that come and go: real model folders in real processes, with a memory that the test states. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { collect } from '../../inference/backend.js'
import { readCarried } from '../../inference/onnx/inputs.js'
import { memoryNeeded } from '../../inference/place.js'
import { Shelf, type ShelfOptions } from '../../inference/shelf.js'
import type { StoredModel } from '../../inference/shelved.js'
import { readStored } from '../../inference/stored.js'
import { coded, sum } from '../contract/backend.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from './folder.js'
import { markovModel } from './markov.js'
import { type LlamaShape, llamaModel } from './onnx/llama.js'

const letters = ['a', 'b', 'c'] as const
const folders = await Promise.all(letters.map((letter) => markovModel(() => letter.charCodeAt(0), 4096)))
const stored = await Promise.all(folders.map((folder, i) => readStored(folder, `tests/${letters[i]}`)))
const needed = ({ weights, kvBytesPerToken, slots, info }: StoredModel) =>
  memoryNeeded({ unloaded: { weights, kvBytesPerToken, free: 0, loadMs: 0 }, slots, context: info.context })
const [each = 0] = stored.map(needed)

const shelves: Shelf[] = []
after(() => Promise.all(shelves.map((shelf) => shelf.dispose())))

function shelfOf(options: Partial<ShelfOptions>, models = stored): Shelf {
  const shelf = new Shelf({ freeBytes: async () => 1e12, ...options })
  for (const model of models) assert.ok(shelf.store(model))
  shelves.push(shelf)
  return shelf
}

const loaded = (shelf: Shelf) =>
  shelf
    .offers()
    .filter(({ unloaded }) => !unloaded)
    .map(({ model }) => model)
const ask = async (shelf: Shelf, letter: string, signal?: AbortSignal, maxTokens = 4) =>
  (await collect(shelf.generate(`tests/${letter}`, { ...sum, maxTokens }, signal))).text

describe('models that are loaded when they are asked for', () => {
  it('are offered with what they take, loaded by the first question, and leave when they are idle', async () => {
    const shelf = shelfOf({ idleMs: 300 })
    await shelf.look()
    const [offer] = shelf.offers()
    assert.ok(offer?.unloaded && offer.unloaded.weights > 0 && offer.unloaded.kvBytesPerToken === 8)
    assert.match(offer.digest ?? '', /^sha256:/)
    assert.deepEqual(loaded(shelf), [])
    const answers = await Promise.all(['a', 'a', 'b', 'a'].map((letter) => ask(shelf, letter)))
    assert.deepEqual(answers, ['aaaa', 'aaaa', 'bbbb', 'aaaa'])
    await eventually(() => assert.deepEqual(loaded(shelf), []))
    assert.equal(await ask(shelf, 'a'), 'aaaa')
  })

  it('are offered with keys and values counted as numbers of the size that the graph carries along', async () => {
    const shape: LlamaShape = { layers: 2, hidden: 64, heads: 4, ffn: 96, vocabulary: 262, context: 1024 }
    const [whole, halves] = await Promise.all(
      [false, true].map((halves) => llamaModel(shape, 'grouped', undefined, { halves })),
    )
    const perToken = async (folder = '') => (await readStored(folder, 'tests/sized')).kvBytesPerToken
    assert.deepEqual([await perToken(whole), await perToken(halves)], [2 * 2 * 64 * 4, 2 * 2 * 64 * 2])
    // Every other layer of a hybrid has a state in their place, for each slot and of any length: 3 numbers and 1 for each of 64.
    const hybrid = await llamaModel({ ...shape, layers: 4 }, 'hybrid')
    const { kvBytesPerToken, weights, slots } = await readStored(hybrid, 'tests/hybrid')
    const { size } = await stat(join(hybrid, 'model.onnx'))
    assert.deepEqual([kvBytesPerToken, weights - size], [2 * 2 * 64 * 4, slots * 2 * (3 + 1) * 64 * 4])
    // What is no graph says nothing: it is counted as the larger ones, and is refused when it is loaded.
    const graph = join(halves ?? '', 'model.onnx')
    const content = await readFile(graph)
    for (const broken of [content.subarray(0, 1000), Buffer.alloc(0), Buffer.alloc(5000, 0xff), content.subarray(7)]) {
      await writeFile(graph, broken)
      assert.deepEqual(await readCarried(graph), { numberBytes: undefined, stateBytes: 0 })
    }
  })

  it('make room for others, the one longest unused first, and never while they are in use', async () => {
    const shelf = shelfOf({ mostBytes: 2 * each + 1 })
    await ask(shelf, 'a')
    await ask(shelf, 'b')
    await ask(shelf, 'a')
    await ask(shelf, 'c')
    assert.deepEqual(loaded(shelf), ['tests/a', 'tests/c'])
    const stop = new AbortController()
    const busy = ['a', 'c'].map((letter) => assert.rejects(ask(shelf, letter, stop.signal, 4000), coded('CANCELLED')))
    await eventually(() => assert.ok(shelf.offers().filter(({ running }) => running === 1).length === 2))
    await assert.rejects(ask(shelf, 'b'), coded('MEMORY_FULL'))
    stop.abort()
    await Promise.all(busy)
    assert.equal(await ask(shelf, 'b'), 'bbbb')
  })

  it('are not loaded where they do not fit, and the error says what is missing', async () => {
    const shelf = shelfOf({ freeBytes: async () => each - 1 })
    await assert.rejects(ask(shelf, 'a'), (thrown) => {
      return coded('MEMORY_FULL')(thrown) && String(thrown).includes(`needs ${each} bytes`)
    })
  })

  it('are waited for within the deadline of each; who gives up does not end the load for the others', async () => {
    const shelf = shelfOf({})
    const stop = new AbortController()
    const impatient = assert.rejects(ask(shelf, 'a', stop.signal), coded('CANCELLED'))
    const patient = ask(shelf, 'a')
    stop.abort()
    await impatient
    assert.deepEqual(loaded(shelf), [])
    assert.equal(await patient, 'aaaa')
  })

  it('are refused when their files are not those that were offered, then and from then on', async () => {
    const folder = join(await temporaryFolder(), 'model')
    await cp(folders[0] ?? '', folder, { recursive: true })
    const shelf = shelfOf({}, [await readStored(folder, 'tests/a')])
    await cp(folders[1] ?? '', folder, { recursive: true })
    await assert.rejects(ask(shelf, 'a'), coded('MODEL_BROKEN'))
    await assert.rejects(ask(shelf, 'a'), coded('UNREACHABLE'))
    assert.match(shelf.offers()[0]?.draining ?? '', /changed/)
  })

  it('are not offered without one graph, or with a config that was altered', async () => {
    const folder = join(await temporaryFolder(), 'model')
    await cp(folders[0] ?? '', folder, { recursive: true })
    await writeFile(
      join(folder, 'config.json'),
      (await readFile(join(folder, 'config.json'), 'utf8')).replace('4096', '8192'),
    )
    await assert.rejects(readStored(folder, 'tests/a'), coded('MODEL_BROKEN'))
    const { files } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
    const others = files.filter(({ path }: { path: string }) => path !== 'model.onnx')
    await writeFile(join(folder, 'manifest.json'), JSON.stringify({ files: others }))
    await assert.rejects(readStored(folder, 'tests/a'), coded('MODEL_BROKEN'))
  })
})

it('a model that runs out of memory while it is loaded says so, and that it may be tried again', {
  skip: process.platform === 'linux' ? false : 'the limit is set by ulimit -d',
}, () => {
  const host = fileURLToPath(new URL('./short-of-memory.js', import.meta.url))
  const { stdout, stderr } = spawnSync(process.execPath, [host], { encoding: 'utf8', timeout: 120_000 })
  assert.deepEqual(JSON.parse(stdout || '{}'), { code: 'MEMORY_FULL', retry: true }, stderr)
})
