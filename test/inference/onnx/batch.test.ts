import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type Answer, collect, type GenerateRequest } from '../../../inference/backend.js'
import { shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend, type OnnxOptions } from '../../../inference/onnx/backend.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { coded, countLines } from '../../contract/backend.js'
import { type LlamaShape, llamaModel } from './llama.js'

const opened: OnnxBackend[] = []
after(() => Promise.all(opened.map((backend) => backend.dispose())))

async function open(options: OnnxOptions): Promise<OnnxBackend> {
  const backend = await OnnxBackend.open(options)
  opened.push(backend)
  return backend
}

const shape: LlamaShape = { layers: 2, hidden: 64, heads: 4, ffn: 96, vocabulary: 262, context: 1024 }
const rows = await llamaModel(shape, 'rows')
const whole = await llamaModel(shape, 'whole')
const grouped = await llamaModel(shape, 'grouped')
const hybrid = await llamaModel({ ...shape, layers: 4 }, 'hybrid')
const halves = await llamaModel(shape, 'grouped', undefined, { halves: true })

const say = (content: string, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  messages: [{ role: 'user', content }],
  maxTokens: 40,
  temperature: 0,
  ...more,
})

/** Prompts of 1 to 330 characters, so with up to six chunks; answers of 1 to 90 tokens; the likeliest token and drawn ones. */
const mixed: GenerateRequest[] = Array.from({ length: 24 }, (_, i) =>
  say('the quick brown fox jumps over a lazy dog '.repeat(8).slice(i, i + 1 + i * 14), {
    maxTokens: 1 + ((i * 37) % 90),
    ...(i % 3 === 0 ? {} : { temperature: 0.7 + (i % 3) / 4, seed: i }),
  }),
)

async function oneByOne(backend: OnnxBackend, requests: readonly GenerateRequest[]): Promise<Answer[]> {
  const answers: Answer[] = []
  for (const request of requests) answers.push(await collect(backend.generate(request)))
  return answers
}

/** What was taken from earlier answers is no part of what an answer says. */
const said = ({ usage, ...answer }: Answer): Answer => ({
  ...answer,
  usage: usage && { promptTokens: usage.promptTokens, outputTokens: usage.outputTokens },
})

const together = (backend: OnnxBackend, requests: readonly GenerateRequest[]): Promise<Answer[]> =>
  Promise.all(requests.map((request) => collect(backend.generate(request))))

for (const [name, folder, keepsPrefixes] of [
  ['a graph that gives new rows alone', rows, true],
  ['a graph that gives whole caches', whole, true],
  ['a graph of GroupQueryAttention, in place', grouped, true],
  ['the same with float16 carried along', halves, true],
  ['a hybrid with states', hybrid, false],
] as const)
  describe(`answers computed together by ${name}`, () => {
    it('are the same as alone, in a batch of unlike lengths that they join and leave', async () => {
      const backend = await open({ folder, slots: 7, prefixBytes: 0 })
      const before = await backend.stats()
      const alone = await oneByOne(backend, mixed)
      const between = await backend.stats()
      assert.deepEqual(await together(backend, mixed), alone)
      const afterwards = await backend.stats()
      assert.ok(before && between && afterwards)
      // As many tokens were computed, in far fewer runs: they did go together.
      assert.equal(afterwards.fed - between.fed, between.fed - before.fed)
      assert.ok((afterwards.runs - between.runs) * 2 < between.runs - before.runs)
      assert.ok(new Set(alone.map(({ text }) => text)).size > 15)
    })

    it('are the same with the beginning of the prompt taken from an earlier one, and it is not computed again', async () => {
      const cold = await open({ folder, prefixBytes: 0 })
      const warm = await open({ folder })
      const story = 'once upon a time there was a cache '.repeat(10)
      const turns = ['', 'and then?', 'why?', 'and then? no, wait'].map((more) => say(story + more, { maxTokens: 20 }))
      const expected = await oneByOne(cold, turns)
      assert.deepEqual((await oneByOne(warm, turns)).map(said), expected)
      const again = await together(warm, turns)
      assert.deepEqual(again.map(said), expected)
      // Of a state nobody knows what it was at the end of a block.
      if (!keepsPrefixes) return assert.equal((await warm.stats())?.reused, 0)
      for (const { usage } of again) assert.ok((usage?.cachedTokens ?? 0) >= 16 * Math.floor(story.length / 16))
      const [without, with_] = [await cold.stats(), await warm.stats()]
      assert.equal(without?.reused, 0)
      // All turns but the first find all full blocks of the story.
      assert.ok(with_ && with_.reused >= 7 * 16 * Math.floor(story.length / 16))
    })
  })

describe('answers under way side by side', () => {
  it('are not disturbed by one that is cancelled among them, nor by one that fails', async () => {
    const backend = await open({ folder: rows, slots: 6 })
    const requests = mixed.slice(10, 15).map((request) => ({ ...request, maxTokens: 80 }))
    const expected = (await oneByOne(backend, requests)).map(said)
    for (const at of [0, 3, 20]) {
      const cancel = new AbortController()
      const cancelled = (async () => {
        let tokens = 0
        for await (const event of backend.generate(say('never mind', { maxTokens: 500 }), cancel.signal))
          if (event.type === 'token' && tokens++ >= at) cancel.abort()
      })()
      const others = together(backend, requests)
      await assert.rejects(cancelled, coded('CANCELLED'))
      assert.deepEqual((await others).map(said), expected)
    }
  })

  it('include calls of tools, each held to the tools of its own request', async () => {
    const backend = await open({ folder: shippedModelFolder })
    const requests: GenerateRequest[] = ['notes.txt', 'a-long-name-for-a-file.csv', 'x.md'].flatMap((file) => [
      { ...say(`how many lines has ${file}?`, { maxTokens: 100 }), tools: [countLines] },
      say(`12 + 7 and ${file}`, { temperature: 1, seed: 3 }),
    ])
    const expected = (await oneByOne(backend, requests)).map(said)
    assert.deepEqual((await together(backend, requests)).map(said), expected)
    assert.deepEqual(expected[2]?.calls, [{ name: 'count_lines', arguments: { path: 'a-long-name-for-a-file.csv' } }])
  })

  it('each end with an error to be tried again when the process is killed among their tokens', async () => {
    const backend = await open({ folder: rows, slots: 4 })
    const pid = await backend.pid()
    let heard = 0
    const answers = Array.from({ length: 10 }, async (_, i) => {
      for await (const event of backend.generate(say(`answer ${i}`, { maxTokens: 900 })))
        if (event.type === 'token' && ++heard === 20 && pid !== undefined) process.kill(pid, 'SIGKILL')
    })
    for (const outcome of await Promise.allSettled(answers)) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof ClawmeshError)
      assert.deepEqual([outcome.reason.code, outcome.reason.retry], ['MODEL_FAILED', true])
      assert.match(outcome.reason.message, /SIGKILL/)
    }
    assert.equal((await collect(backend.generate(say('and now?', { maxTokens: 5 })))).usage?.outputTokens, 5)
  })

  it('stop being computed one step and one chunk after they are cancelled, at the latest', async () => {
    const backend = await open({ folder: rows, slots: 3 })
    const cancels = [0, 1, 2].map(() => new AbortController())
    let heard = 0
    const answers = Promise.allSettled(
      cancels.map(async ({ signal }, i) => {
        for await (const event of backend.generate(say(`go ${i}`, { maxTokens: 900 }), signal))
          if (event.type === 'token') heard++
      }),
    )
    while (heard < 30) await new Promise(setImmediate)
    for (const cancel of cancels) cancel.abort()
    const at = await backend.stats()
    for (const outcome of await answers) assert.equal(outcome.status, 'rejected')
    // A request goes the same way as the cancels, behind them.
    await collect(backend.generate(say('next', { maxTokens: 1 })))
    const later = await backend.stats()
    assert.ok(at && later)
    assert.ok(later.fed - at.fed <= 3 + 64 + '<|user|>next'.length, `${later.fed - at.fed} tokens`)
  })
})

describe('more clients than slots', () => {
  it('are all served or refused at once, those who came first before those who came later', async () => {
    const backend = await open({ folder: rows, slots: 8, queue: 72 })
    // What the first question has to load must not let others overtake it.
    await collect(backend.generate(say('first', { maxTokens: 1 })))
    const order: number[] = []
    /** How many had their answer when one was refused. */
    const servedBefore: number[] = []
    const outcomes = await Promise.allSettled(
      Array.from({ length: 500 }, async (_, i) => {
        try {
          // All as long, and of one piece: an asker whose loop was held up sees answers in the order of how many pieces they have.
          const answer = await collect(backend.generate(say(`client ${100 + i}`, { maxTokens: 1 })))
          order.push(i)
          return answer
        } catch (thrown) {
          servedBefore.push(order.length)
          throw thrown
        }
      }),
    )
    const served = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
    // More than there is room for only where one had its answer before the last had asked.
    assert.deepEqual(
      served.slice(0, 80),
      Array.from({ length: 80 }, (_, i) => i),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') coded('MODEL_BUSY')(outcome.reason)
    assert.ok(servedBefore.length > 0, 'nobody was refused')
    assert.ok(Math.max(...servedBefore) < served.length, 'somebody was refused after a wait for all the others')
    assert.deepEqual(order, served)
  })

  it('are all served in the end if they try again', async () => {
    const backend = await open({ folder: rows, slots: 8, queue: 16 })
    const persistent = async (i: number): Promise<Answer> => {
      for (;;)
        try {
          return await collect(backend.generate(say(`client ${i}`, { maxTokens: 4 })))
        } catch (thrown) {
          coded('MODEL_BUSY')(thrown)
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
    }
    const answers = await Promise.all(Array.from({ length: 120 }, (_, i) => persistent(i)))
    assert.ok(answers.every(({ usage }) => usage?.outputTokens === 4))
  })

  it('wait where their keys and values would not fit in memory beside those under way', async () => {
    const perToken = 2 * 2 * shape.hidden * 4
    const backend = await open({ folder: rows, slots: 8, cacheBytes: 4 * 256 * perToken })
    let most = 0
    let done = false
    const answers = together(
      backend,
      Array.from({ length: 8 }, (_, i) => say(`client ${i}`, { maxTokens: 180 })),
    ).finally(() => {
      done = true
    })
    while (!done) most = Math.max(most, (await backend.stats())?.running ?? 0)
    assert.ok((await answers).every(({ usage }) => usage?.outputTokens === 180))
    assert.equal(most, 4)
  })

  it('get a clear error for a prompt of 10,000 tokens, which costs the others nothing', async () => {
    const backend = await open({ folder: rows })
    const beside = collect(backend.generate(say('beside it')))
    await assert.rejects(collect(backend.generate(say('x'.repeat(10_000)))), (thrown) => {
      return coded('MODEL_UNSUITED')(thrown) && /10002 tokens.*1024/.test(String(thrown))
    })
    assert.equal((await beside).usage?.outputTokens, 40)
  })
})

it('the speed of a model is measured when it is ready, alone and in a batch', async () => {
  const backend = await open({ folder: rows, slots: 4 })
  assert.equal(backend.speed, undefined)
  const speed = await backend.measured
  assert.ok(speed && speed.prefill > 0 && speed.decode > 0 && speed.batch?.size === 4)
  assert.equal(backend.speed, speed)
})
