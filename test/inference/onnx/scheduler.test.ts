import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DecoderShape } from '../../../inference/onnx/config.js'
import { Graph } from '../../../inference/onnx/graph.js'
import { pick } from '../../../inference/onnx/random.js'
import { Scheduler, type Work } from '../../../inference/onnx/scheduler.js'
import { llamaGraph } from './llama.js'

const sizes = { layers: 2, hidden: 32, heads: 2, ffn: 48, vocabulary: 100, context: 512 }
const shape: DecoderShape = { layers: 2, kvHeads: 2, headDim: 16, vocabulary: 100, context: 512, ends: [] }
const poison = 99
const graph = await Graph.load(llamaGraph(sizes, 'rows', { poison }), shape, 1)
const all = Array.from({ length: poison }, (_, id) => id)

/** Writes the likeliest tokens until it has `most`; `onToken` hears of each. */
class Answer implements Work {
  readonly tokens: number[]
  readonly mostTokens: number
  cachedTokens = 0
  takes = 0
  private readonly onToken: (takes: number) => void

  constructor(prompt: number[], answerTokens: number, onToken: (takes: number) => void = () => {}) {
    this.tokens = [...prompt]
    this.mostTokens = prompt.length + answerTokens
    this.onToken = onToken
  }

  begin(): boolean {
    return false
  }

  take(logits: Float32Array): boolean {
    this.tokens.push(pick(logits, all, 0, Math.random))
    this.onToken(++this.takes)
    return this.tokens.length >= this.mostTokens
  }
}

/** Computes all of them together; what failed, by its place. */
async function run(answers: readonly Answer[], scheduler = newScheduler()): Promise<Map<number, unknown>> {
  const failed = new Map<number, unknown>()
  for (const [id, work] of answers.entries()) scheduler.submit(id, work, (thrown) => failed.set(id, thrown))
  await scheduler.whenIdle()
  return failed
}

const newScheduler = (): Scheduler => new Scheduler(graph, shape, { slots: 8, queue: 8, prefixBytes: 0 })

const failing = (thrown: unknown): never => assert.fail(String(thrown))

const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11, 12, 13], [14, 15]]
const expected = await Promise.all(
  prompts.map(async (prompt) => {
    const answer = new Answer(prompt, 20)
    await run([answer])
    return answer.tokens
  }),
)

describe('the scheduler', () => {
  it('fails only the answer that cannot be computed, of several in one run', async () => {
    const answers = prompts.map((prompt) => new Answer(prompt, 20))
    const failed = await run([new Answer([1, 5000], 20), ...answers, new Answer([5001, 1], 20)])
    assert.deepEqual([...failed.keys()], [0, 5])
    assert.match(String(failed.get(0)), /5000/)
    assert.deepEqual(
      answers.map(({ tokens }) => tokens),
      expected,
    )
  })

  it('computes nothing more for an answer that failed, and the others as before', async () => {
    const wordless = new Answer([20, 21], 100, (takes) => {
      if (takes === 3) throw new Error('no such word')
    })
    const answers = prompts.map((prompt) => new Answer(prompt, 20))
    const failed = await run([answers[0], wordless, ...answers.slice(1)].filter((each) => each !== undefined))
    assert.deepEqual([...failed.keys()], [1])
    assert.equal(wordless.takes, 3)
    assert.deepEqual(
      answers.map(({ tokens }) => tokens),
      expected,
    )
  })

  it('lets nothing that is not a number, left by one answer, come into another', async () => {
    const scheduler = newScheduler()
    const poisoned = Array.from({ length: 60 }, (_, i) => (i === 20 ? poison : i))
    const answers = prompts.map((prompt) => new Answer(prompt, 20))
    const failed = await run([new Answer(poisoned, 20), ...answers, new Answer(poisoned, 20)], scheduler)
    const after = prompts.map((prompt) => new Answer(prompt, 20))
    assert.equal((await run(after, scheduler)).size, 0)
    assert.deepEqual([...failed.keys()], [0, 5])
    assert.match(String(failed.get(0)), /not numbers/)
    for (const group of [answers, after])
      assert.deepEqual(
        group.map(({ tokens }) => tokens),
        expected,
      )
  })

  it('leaves out what is cancelled, even between two runs of one step', async () => {
    const scheduler = newScheduler()
    const long = Array.from({ length: 300 }, (_, i) => i % poison)
    let fed = 0
    const short = new Answer([1, 2, 3], 20, (takes) => {
      // The first run of a step: the chunk of the long prompt would be the second.
      if (takes === 1) scheduler.cancel(1)
      if (takes === 1) fed = scheduler.stats().fed
    })
    assert.equal((await run([short, new Answer(long, 5)], scheduler)).size, 0)
    assert.equal(fed, 3)
    assert.equal(scheduler.stats().fed, 3 + 19)
    assert.deepEqual(short.tokens, expected[0])
  })

  it('gives a long prompt one chunk between two tokens of the others', async () => {
    const scheduler = newScheduler()
    const long = Array.from({ length: 400 }, (_, i) => i % poison)
    const fed: number[] = []
    const short = new Answer([4], 5, () => fed.push(scheduler.stats().fed))
    assert.equal((await run([new Answer(long, 5), short], scheduler)).size, 0)
    assert.deepEqual(fed, [1, 66, 131, 196, 261])
  })

  it('counts a cancelled answer no more when it looks for room', async () => {
    const scheduler = new Scheduler(graph, shape, { slots: 1, queue: 0 })
    const next = new Answer([4], 20)
    const endless = new Answer([1, 2, 3], 400, (takes) => {
      if (takes !== 5) return
      assert.throws(() => scheduler.refuseWhenFull(), { code: 'MODEL_BUSY' })
      scheduler.cancel(0)
      scheduler.submit(1, next, failing)
    })
    scheduler.submit(0, endless, failing)
    await scheduler.whenIdle()
    assert.equal(endless.takes, 5)
    assert.deepEqual(next.tokens, expected[1])
  })
})
