/** How fast a model of a server is, before anybody has asked it anything: by two short questions of our own. */
import { randomUUID } from 'node:crypto'
import type { Backend, GenerateEvent, GenerateRequest } from './backend.js'
import { learned, type Seen } from './pace.js'
import type { Speed } from './place.js'
import { credible } from './usage.js'

/** Both together. One that is slower, or takes longer to be loaded, is learned from its answers. */
const mostMs = 10_000
const answerTokens = 24
/** So many that reading them is more than a step of writing. Each is one token in any vocabulary in use. */
const words = 256

/**
 * Servers load a model for the first question, which says nothing of its speed; the second is timed. undefined where it cannot be said: the server refuses, stalls, takes longer than
 * ten seconds, or the signal ends it. Never throws.
 */
export async function tryOut(
  backend: Pick<Backend, 'model' | 'generate'>,
  signal: AbortSignal,
): Promise<Speed | undefined> {
  const ended = AbortSignal.any([signal, AbortSignal.timeout(mostMs)])
  try {
    for await (const _ of backend.generate(question(1, 2), ended));
    const read = Math.min(words, (backend.model.context ?? words * 4) >> 2)
    const second = question(read, answerTokens)
    return learned(undefined, await timed(second, backend.generate(second, ended), read), 1)
  } catch {
    return undefined
  }
}

/** Begins as no other does: what a server remembers of earlier prompts would be no reading. */
const question = (count: number, maxTokens: number): GenerateRequest => ({
  messages: [{ role: 'user', content: `${randomUUID()}${' and'.repeat(count)} so on. Count from one to fifty.` }],
  maxTokens,
  temperature: 0,
})

/** `words`: tokens of the prompt, where the server counts none. */
async function timed(request: GenerateRequest, events: AsyncIterable<GenerateEvent>, words: number): Promise<Seen> {
  const begun = performance.now()
  let [pieces, firstAt] = [0, begun]
  for await (const event of events) {
    const now = performance.now()
    if (event.type !== 'done') {
      if (pieces++ === 0) firstAt = now
      continue
    }
    const cut = event.reason === 'length' ? answerTokens : pieces
    const used = event.usage && credible(request, event.usage)
    const { promptTokens: read, outputTokens: written } = used ?? { promptTokens: words, outputTokens: cut }
    // An answer that comes in one piece tells how long all of it took.
    if (pieces < 2 || written < 2 || now <= firstAt || firstAt <= begun)
      return written > 0 && now > begun ? { whole: { read, written, ms: now - begun } } : {}
    return {
      prefill: (1000 * read) / (firstAt - begun),
      decode: { rate: (1000 * (written - 1)) / (now - firstAt), among: 1 },
    }
  }
  return {}
}
