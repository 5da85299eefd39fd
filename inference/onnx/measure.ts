import type { Speed } from '../place.js'
import type { Cache } from './cache.js'
import type { DecoderShape } from './config.js'
import type { Graph } from './graph.js'
import type { Scheduler } from './scheduler.js'

/** Enough to tell machines apart: a short prompt, a few tokens, and no more than `mostMs` of them. */
const promptTokens = 64
const answerTokens = 8
const mostMs = 500

/** One token, which is not kept: the first run of a session makes its plans and takes its memory. Throws where the graph cannot be computed. */
export async function warmUp(graph: Graph, shape: DecoderShape): Promise<void> {
  const cache = graph.cache(shape)
  await graph.run(cache, [{ slot: cache.open(), tokens: [0] }])
}

/** How fast a graph is here and now, alone and with `slots` answers, in tokens a second. Begins again if there were answers under way: they would have slowed it down. */
export async function measureSpeed(
  graph: Graph,
  shape: DecoderShape,
  slots: number,
  scheduler: Scheduler,
): Promise<Speed> {
  for (;;) {
    await scheduler.whenIdle()
    const { steps } = scheduler.stats()
    const speed = await measureOnce(graph, shape, slots)
    if (scheduler.idle && scheduler.stats().steps === steps) return speed
  }
}

/** The tokens are of no meaning; the work is the same. */
async function measureOnce(graph: Graph, shape: DecoderShape, slots: number): Promise<Speed> {
  const cache = graph.cache(shape)
  const prompt = Array.from({ length: Math.max(1, Math.min(promptTokens, shape.context >> 1)) }, (_, i) => i % 2)
  const begun = performance.now()
  await graph.run(cache, [{ slot: cache.open(), tokens: prompt }])
  const prefill = rate(prompt.length, performance.now() - begun)
  const decode = await decodeRate(graph, cache)
  if (slots < 2 || !graph.batches) return { prefill, decode }
  while (cache.size < slots) cache.open()
  return { prefill, decode, batch: { size: slots, decode: await decodeRate(graph, cache) } }
}

/** A token of each slot at a time. */
async function decodeRate(graph: Graph, cache: Cache): Promise<number> {
  const feeds = Array.from({ length: cache.size }, (_, slot) => ({ slot, tokens: [0] }))
  const begun = performance.now()
  let steps = 0
  do {
    await graph.run(cache, feeds)
    steps++
  } while (steps < answerTokens && cache.length(0) < cache.context && performance.now() - begun < mostMs)
  return rate(steps * feeds.length, performance.now() - begun)
}

/** Never zero or endless, whatever the clock says. */
function rate(tokens: number, ms: number): number {
  return Math.round((10_000 * tokens) / Math.max(0.01, ms)) / 10
}
