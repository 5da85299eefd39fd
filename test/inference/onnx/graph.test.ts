import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Cache } from '../../../inference/onnx/cache.js'
import type { DecoderShape } from '../../../inference/onnx/config.js'
import { Graph } from '../../../inference/onnx/graph.js'
import { llamaGraph } from './llama.js'

const sizes = { layers: 2, hidden: 32, heads: 2, ffn: 48, vocabulary: 100, context: 512 }
const shape: DecoderShape = { layers: 2, kvHeads: 2, headDim: 16, vocabulary: 100, context: 512, ends: [] }

it('a graph of GroupQueryAttention gives what the same weights give without it, together and in place', async () => {
  const plain = await Graph.load(llamaGraph(sizes, 'whole'), shape, 1)
  const graph = await Graph.load(llamaGraph(sizes, 'grouped'), shape, 1)
  assert.deepEqual([plain.form, graph.form], ['whole', 'grouped'])
  const prompts = [70, 1, 5, 33].map((length, i) => Array.from({ length }, (_, j) => (i * 31 + j * 7) % 100))
  const caches = [plain, graph].map(() => new Cache(shape))
  const both = async (feeds: { slot: number; tokens: number[] }[]) => {
    const [expected = [], found = []] = await Promise.all(
      [plain, graph].map(async (each, i) =>
        (await each.run(caches[i] ?? assert.fail(), feeds)).map((row) => row.slice()),
      ),
    )
    for (const [i, row] of expected.entries())
      for (const [j, value] of row.entries()) assert.ok(Math.abs(value - (found[i]?.[j] ?? Number.NaN)) < 1e-4)
  }
  for (const tokens of prompts) for (const cache of caches) assert.equal(cache.open(), prompts.indexOf(tokens))
  for (const [slot, tokens] of prompts.entries()) await both([{ slot, tokens }])
  for (let step = 0; step < 80; step++)
    // Not all of them each time: what lies between is not disturbed, also where it has no room left.
    await both(
      [0, 1, 2, 3]
        .filter((slot) => (step + slot) % 3 !== 0)
        .map((slot) => ({ slot, tokens: [(step * 3 + slot) % 100] })),
    )
  await both([{ slot: 2, tokens: [1, 2, 3, 4, 5] }])
})

it('a hybrid carries its states along: in one piece, token by token and beside others it says the same', async () => {
  const graph = await Graph.load(llamaGraph({ ...sizes, layers: 4 }, 'hybrid'), shape, 1)
  assert.deepEqual([graph.form, graph.fillsUp], ['whole', false])
  assert.deepEqual(graph.layout.names, ['0.key', '0.value', '2.key', '2.value'])
  assert.deepEqual(
    graph.layout.states.map(({ name }) => name),
    ['conv.1', 'ssm.1', 'conv.3', 'ssm.3'],
  )
  const texts = [40, 17, 29].map((length, i) => Array.from({ length }, (_, j) => (i * 31 + j * 7) % 100))
  const whole: Float32Array[] = []
  for (const tokens of texts) {
    const cache = graph.cache(shape)
    whole.push(...(await graph.run(cache, [{ slot: cache.open(), tokens }])).map((row) => row.slice()))
  }
  const cache = graph.cache(shape)
  const ends = new Map<number, Float32Array>()
  // One more that ends first, so that slots change their numbers.
  const slots = [0, ...texts.keys()].map(() => cache.open())
  await graph.run(
    cache,
    slots.map((slot) => ({ slot, tokens: [slot === 0 ? 99 : (texts[slot - 1]?.[0] ?? 0)] })),
  )
  cache.close(0)
  const textOf = [2, 0, 1]
  for (let at = 1; at < 40; at++) {
    const feeds = [0, 1, 2].flatMap((slot) => {
      const token = texts[textOf[slot] ?? 0]?.[at]
      return token === undefined ? [] : [{ slot, tokens: [token] }]
    })
    const rows = await graph.run(cache, feeds)
    for (const [i, { slot }] of feeds.entries()) ends.set(textOf[slot] ?? -1, (rows[i] ?? assert.fail()).slice())
  }
  for (const [i, row] of whole.entries())
    for (const [j, value] of row.entries())
      assert.ok(Math.abs(value - (ends.get(i)?.[j] ?? Number.NaN)) < 1e-3, `${i}: ${value} ${ends.get(i)?.[j]}`)
})

it('a graph that makes something else of its mask is computed alone', async () => {
  const odd = await Graph.load(llamaGraph(sizes, 'grouped-otherwise'), shape, 1)
  assert.equal(odd.form, 'alone')
})
