/** Compares the logits of the built-in backend with those of transformers.js on the same weights: in one piece, in chunks, and beside others. Too much to fetch for every `npm test`. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openModel } from '../../../inference/models.js'
import { type Feed, Graph } from '../../../inference/onnx/graph.js'
import { readLoaded } from '../../../inference/onnx/writer.js'
import { seededRandom, wholeBelow } from '../../kit/random.js'
import { transformersLogits } from '../../kit/transformers.js'
import { type LlamaShape, llamaModel } from './llama.js'

const shape: LlamaShape = { layers: 3, hidden: 96, heads: 3, ffn: 128, vocabulary: 300, context: 1024 }
/** Of the largest logit: what another order of additions comes to in float32. */
const mostOff = 1e-5
const chunk = 17

/** Resolves to whether all agree; false, with the reason, where transformers.js cannot be had. */
export async function soakLogits(count: number, seed: number): Promise<boolean> {
  const random = seededRandom(seed)
  const prompts = Array.from({ length: count }, () =>
    Array.from({ length: 1 + wholeBelow(random, 200) }, () => wholeBelow(random, shape.vocabulary)),
  )
  const expected = await transformersLogits(await llamaModel(shape, 'whole'), prompts).catch((thrown: unknown) => {
    process.stderr.write(`transformers.js could not be asked: ${String(thrown).slice(0, 500)}\n`)
    return undefined
  })
  if (!expected) return false
  let isClean = true
  for (const form of ['rows', 'whole', 'grouped'] as const) {
    const folder = await llamaModel(shape, form)
    const { config } = readLoaded(await openModel(folder))
    const graph = await Graph.load(await readFile(join(folder, 'model.onnx')), config.shape, 1)
    for (const [way, compute] of Object.entries(ways)) {
      const found = await compute(graph, config.shape, prompts)
      const off = Math.max(...found.map((row, i) => distance(row, expected[i] ?? [])))
      process.stdout.write(`${form}, ${way}: ${off.toExponential(1)} of the largest logit\n`)
      isClean &&= off <= mostOff
    }
  }
  return isClean
}

type Way = (
  graph: Graph,
  shape: Parameters<Graph['cache']>[0],
  prompts: readonly number[][],
) => Promise<readonly Float32Array[]>

const ways: Record<string, Way> = {
  'in one piece': async (graph, shape, prompts) => {
    const rows: Float32Array[] = []
    for (const tokens of prompts) {
      const cache = graph.cache(shape)
      rows.push(...(await graph.run(cache, [{ slot: cache.open(), tokens }])).map((row) => row.slice()))
    }
    return rows
  },
  'in chunks': async (graph, shape, prompts) => {
    const rows: Float32Array[] = []
    for (const tokens of prompts) {
      const cache = graph.cache(shape)
      const slot = cache.open()
      for (let at = 0; at < tokens.length; at += chunk) {
        const [row] = await graph.run(cache, [{ slot, tokens: tokens.slice(at, at + chunk) }])
        if (row && at + chunk >= tokens.length) rows.push(row.slice())
      }
    }
    return rows
  },
  // The last token of four prompts of unlike lengths in one run.
  'beside others': async (graph, shape, prompts) => {
    const rows: Float32Array[] = []
    for (let first = 0; first < prompts.length; first += 4) {
      const cache = graph.cache(shape)
      const feeds: Feed[] = []
      for (const tokens of prompts.slice(first, first + 4)) {
        const slot = cache.open()
        if (tokens.length > 1) await graph.run(cache, [{ slot, tokens: tokens.slice(0, -1) }])
        feeds.push({ slot, tokens: tokens.slice(-1) })
      }
      rows.push(...(await graph.run(cache, feeds)).map((row) => row.slice()))
    }
    return rows
  },
}

function distance(found: Float32Array, expected: readonly number[]): number {
  const scale = Math.max(...expected.map(Math.abs))
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY
  return Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN)))) / scale
}
