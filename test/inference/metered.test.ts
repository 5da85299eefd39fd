import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, describe, it } from 'node:test'
import { collect } from '../../inference/backend.js'
import { Failing } from '../../inference/failing.js'
import { OpenAiBackend } from '../../inference/openai/backend.js'
import { Shelf } from '../../inference/shelf.js'
import { credible } from '../../inference/usage.js'
import { ClawmeshError } from '../../policies/errors.js'
import { coded, sum } from '../contract/backend.js'
import { eventually } from '../kit/eventually.js'
import { type Answer, type ModelServer, recorded, serve, stream } from './openai/server.js'

const opened: { close(): Promise<void> }[] = []
after(() => Promise.all(opened.map((each) => each.close())))

/** A shelf with the one model of a server that answers so. */
async function shelfOn(answer: Answer, embedding?: Answer): Promise<{ shelf: Shelf; server: ModelServer }> {
  const server = await serve(await recorded('vllm/models.json'), answer, embedding)
  opened.push(server)
  const shelf = new Shelf({ freeBytes: async () => 1e12 })
  shelf.keep(await OpenAiBackend.open({ url: server.url }))
  return { shelf, server }
}

describe('a server that lists its models and fails each question', () => {
  it('is offered as gone after three in a row, until it answers', async () => {
    let isBroken = true
    const well = stream(await recorded('vllm/text.sse'))
    const { shelf } = await shelfOn((response, body) =>
      isBroken ? void response.writeHead(500).end('{"error":{"message":"CUDA out of memory"}}') : well(response, body),
    )
    const away = async () => {
      await shelf.check()
      return shelf.offers()[0]?.away
    }
    for (const failures of [1, 2, 3]) {
      assert.equal(await away(), undefined, `${failures}`)
      await assert.rejects(collect(shelf.generate(undefined, sum)), (thrown) => {
        // So that another machine is asked.
        assert.equal(ClawmeshError.from(thrown).data['away'], true)
        return coded('MODEL_FAILED')(thrown)
      })
    }
    // Whoever looks at the mesh reads it, and what a server says of a failure may be the prompt.
    assert.equal(await away(), 'its server failed 3 questions in a row; its log says why')
    isBroken = false
    await collect(shelf.generate(undefined, sum))
    assert.equal(await away(), undefined)
    await shelf.dispose()
  })

  it('may be asked once in a while, which doubles up to five minutes', () => {
    let now = 0
    const failing = new Failing(() => now)
    const fail = () => failing.failed(new ClawmeshError('MODEL_FAILED', 'no', { data: { away: true } }))
    const pauses = Array.from({ length: 9 }, () => {
      fail()
      const begun = now
      while (failing.why !== undefined) now += 1000
      return (now - begun) / 1000
    })
    assert.deepEqual(pauses, [0, 0, 15, 30, 60, 120, 240, 300, 300])
    failing.answered()
    fail()
    assert.equal(failing.why, undefined)
  })

  it('is not one that says why it does not answer this question', () => {
    const failing = new Failing()
    for (const code of ['MODEL_UNSUITED', 'MODEL_BUSY', 'CANCELLED', 'MODEL_FAILED'] as const)
      for (let i = 0; i < 4; i++) failing.failed(new ClawmeshError(code, 'no'))
    assert.equal(failing.why, undefined)
  })
})

describe('what a server says that an answer used', () => {
  it('is no more than the question has bytes, and the answer was let have', async () => {
    const lie = '{"prompt_tokens":1000000000,"completion_tokens":1000000000}'
    const { shelf } = await shelfOn(
      stream(
        `data: {"choices":[{"index":0,"delta":{"content":"19"},"finish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":${lie}}\n\ndata: [DONE]\n\n`,
      ),
    )
    for (let i = 0; i < 3; i++) {
      const { usage } = await collect(shelf.generate(undefined, sum))
      assert.ok(usage && usage.promptTokens < 3000 && usage.outputTokens === sum.maxTokens, JSON.stringify(usage))
    }
    const { prefill = 0, decode = 0 } = shelf.offers()[0]?.speed ?? {}
    assert.ok(prefill <= 2_000_000 && decode <= 20_000, `${prefill}, ${decode}`)
    await shelf.dispose()
  })

  it('is left as it is where it can be true', () => {
    const usage = { promptTokens: 40, cachedTokens: 32, outputTokens: 64 }
    assert.deepEqual(credible(sum, usage), usage)
    const long = { ...sum, messages: [{ role: 'user' as const, content: 'é'.repeat(50_000) }] }
    assert.equal(credible(long, { ...usage, promptTokens: 100_000 }).promptTokens, 100_000)
    assert.deepEqual(credible(sum, { promptTokens: 5, cachedTokens: 9, outputTokens: 1 }).cachedTokens, 5)
  })
})

it('vectors that are asked for count as answers under way', async () => {
  const held: ServerResponse[] = []
  const { shelf } = await shelfOn(stream(''), (response) => void held.push(response))
  const asked = (async () => {
    for await (const _ of shelf.embed(['a text']));
  })()
  await eventually(() => assert.equal(held.length, 1))
  assert.equal(shelf.offers()[0]?.running, 1)
  held[0]?.end('{"data":[{"index":0,"embedding":[0.5]}]}')
  await asked
  assert.equal(shelf.offers()[0]?.running, 0)
  await shelf.dispose()
})
