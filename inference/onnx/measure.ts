import type { Speed } from '../place.js'
import type { Graph } from './graph.js'

/** Enough to tell machines apart, and little against a load: a short prompt, a few tokens, and no more than `mostMs` of them. */
const promptTokens = 64
const answerTokens = 8
const mostMs = 500

/** How fast a graph is here and now, in tokens a second. The tokens are of no meaning; the work is the same. */
export async function measureSpeed(graph: Graph, context: number): Promise<Speed> {
  const prompt = Array.from({ length: Math.max(1, Math.min(promptTokens, context >> 1)) }, (_, i) => i % 2)
  // The first run of a session makes its plans and takes its memory.
  await graph.run([0], graph.empty())
  const begun = performance.now()
  let { cache } = await graph.run(prompt, graph.empty())
  const prefilled = performance.now()
  let tokens = 0
  for (
    const most = Math.min(answerTokens, context - prompt.length);
    tokens < most && performance.now() - prefilled < mostMs;
    tokens++
  )
    cache = (await graph.run([0], cache)).cache
  const done = performance.now()
  return { prefill: rate(prompt.length, prefilled - begun), decode: rate(Math.max(1, tokens), done - prefilled) }
}

/** Never zero or endless, whatever the clock says. */
function rate(tokens: number, ms: number): number {
  return Math.round((10_000 * tokens) / Math.max(0.01, ms)) / 10
}
