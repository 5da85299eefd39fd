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

it('a graph that makes something else of its mask is computed alone', async () => {
  const odd = await Graph.load(llamaGraph(sizes, 'grouped-otherwise'), shape, 1)
  assert.equal(odd.form, 'alone')
})
