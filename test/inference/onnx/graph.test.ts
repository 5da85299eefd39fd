import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Cache } from '../../../inference/onnx/cache.js'
import type { DecoderShape } from '../../../inference/onnx/config.js'
import { Graph } from '../../../inference/onnx/graph.js'
import { widened } from '../../../inference/onnx/numbers.js'
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

describe('a graph that carries float16 along', () => {
  for (const form of ['rows', 'whole', 'grouped', 'hybrid'] as const)
    it(`as ${form} says what it says in float32, as nearly as halves have it, also after slots moved`, async () => {
      const layers = form === 'hybrid' ? { ...sizes, layers: 4 } : sizes
      const full = await Graph.load(llamaGraph(layers, form), shape, 1)
      const half = await Graph.load(llamaGraph(layers, form, { halves: true }), shape, 1)
      assert.deepEqual([half.layout.type, full.layout.type], ['float16', 'float32'])
      // States are rounded after each run: an answer is not to depend on how many of its tokens went together.
      assert.equal(half.form, form === 'hybrid' ? 'alone' : full.form)
      const caches = [full, half].map((graph) => graph.cache(shape))
      const run = async (feeds: { slot: number; tokens: number[] }[]): Promise<void> => {
        const rows: Float32Array[][] = []
        for (const [i, graph] of [full, half].entries())
          rows.push((await graph.run(caches[i] ?? assert.fail(), feeds)).map((row) => row.slice()))
        for (const [i, row] of (rows[0] ?? []).entries()) {
          const scale = Math.max(...row.map(Math.abs))
          for (const [j, value] of row.entries())
            assert.ok(
              Math.abs(value - (rows[1]?.[i]?.[j] ?? Number.NaN)) < scale * 0.02,
              `${value} ${rows[1]?.[i]?.[j]}`,
            )
        }
      }
      for (const length of [3, 70, 33, 5]) {
        const tokens = Array.from({ length }, (_, i) => (length * 31 + i * 7) % 100)
        for (const cache of caches) cache.open()
        await run([{ slot: (caches[0]?.size ?? 0) - 1, tokens }])
      }
      for (const cache of caches) cache.close(0)
      for (let step = 0; step < 12; step++) {
        const feeds = [0, 1, 2].map((slot) => ({ slot, tokens: [step * 3 + slot] }))
        for (const each of half.batches ? [feeds] : feeds.map((feed) => [feed])) await run(each)
      }
      assert.equal(2 * (caches[1]?.bytesOf(4, 100) ?? 0), caches[0]?.bytesOf(4, 100))
      const block = caches[1]?.copyOut(1, 0, 16) ?? assert.fail()
      assert.ok(block instanceof Uint16Array && block.some((bits) => bits !== 0))
    })

  it('reads every half as the number it is', () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x7c00, 0xfc00, 0x3555)
    const numbers = [1, -2, 2 ** -24, -0, 65504, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.333251953125]
    assert.deepEqual([...widened(bits)], numbers)
    assert.ok(Number.isNaN(widened(Uint16Array.of(0x7e00))[0]))
  })
})
