/** What a node learns of a server's model by a short question of its own: how fast it is. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { collect } from '../../../inference/backend.js'
import { OpenAiBackend } from '../../../inference/openai/backend.js'
import { Shelf } from '../../../inference/shelf.js'
import { sum } from '../../contract/backend.js'
import { eventually } from '../../kit/eventually.js'
import { type Answer, recorded, serve } from './server.js'

const undo: (() => Promise<void>)[] = []
after(() => Promise.all(undo.map((step) => step())))

const chunk = (content: object) => `data: ${JSON.stringify(content)}\n\n`
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const readMs = 60
const stepMs = 4

/** Reads for a while, then writes a word at a time. */
const steady: Answer = async (response, body) => {
  const { max_tokens: limit, messages } = JSON.parse(body) as { max_tokens: number; messages: [{ content: string }] }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  await pause(readMs)
  for (let n = 0; n < limit; n += 1) {
    response.write(chunk({ choices: [{ delta: { content: 'on ' }, finish_reason: null }] }))
    await pause(stepMs)
  }
  const usage = { prompt_tokens: messages[0].content.split(' ').length, completion_tokens: limit }
  response.write(chunk({ choices: [{ delta: {}, finish_reason: 'length' }] }))
  response.end(`${chunk({ choices: [], usage })}data: [DONE]\n\n`)
}

async function shelved(answer: Answer, models?: object) {
  const server = await serve(models ? JSON.stringify({ data: [models] }) : await recorded('vllm/models.json'), answer)
  const shelf = new Shelf({ freeBytes: async () => 1e12 })
  shelf.keep(await OpenAiBackend.open({ url: server.url }), ['GPU-1'])
  undo.push(async () => {
    await shelf.dispose()
    await server.close()
  })
  return { shelf, asked: server.asked, offer: () => shelf.offers()[0] ?? assert.fail('nothing is offered') }
}

describe('a model of a server', () => {
  it('is measured when it is opened, by two short questions, and what answers show takes the place of that', async () => {
    const { shelf, asked, offer } = await shelved(steady)
    await shelf.tryOut()
    const { speed, speedFrom } = offer()
    const bodies = asked.map((body) => JSON.parse(body) as { max_tokens: number; temperature: number })
    assert.deepEqual(
      bodies.map(({ max_tokens, temperature }) => [max_tokens <= 24, temperature]),
      [
        [true, 0],
        [true, 0],
      ],
    )
    // As slow as the machine likes, and never faster than the server was.
    assert.ok(speed && speed.prefill > 0 && speed.prefill <= 300 / (readMs / 1000), `${speed?.prefill}`)
    assert.ok(speed.decode > 0 && speed.decode <= 1000 / (stepMs - 1), `${speed.decode}`)
    assert.ok(speed.prefill > speed.decode)
    assert.equal(speedFrom, 'load')
    await shelf.tryOut()
    assert.equal(asked.length, 2, 'it is known')
    await collect(shelf.generate(undefined, { ...sum, maxTokens: 40 }))
    assert.equal(offer().speedFrom, 'answers')
    assert.notDeepEqual(offer().speed, speed)
  })

  it('that was asked something in earnest is not measured at its cost: what was begun is ended first', {
    timeout: 8000,
  }, async () => {
    const stalls: Answer = async (response, body) => {
      if (body.includes('12 + 7')) await steady(response, body)
    }
    const { shelf, asked, offer } = await shelved(stalls)
    const trial = shelf.tryOut()
    await eventually(() => assert.equal(asked.length, 1))
    const answer = await collect(shelf.generate(undefined, { ...sum, maxTokens: 3 }))
    assert.equal(answer.text, 'on on on ')
    await trial
    await shelf.tryOut()
    assert.deepEqual([asked.length, offer().speedFrom], [2, undefined])
  })

  it('that refuses is offered all the same, and learned from its answers', async () => {
    const { shelf, offer } = await shelved((response) => void response.writeHead(500).end())
    await shelf.tryOut()
    assert.deepEqual([offer().speed, offer().draining], [undefined, undefined])
  })

  for (const [why, model] of [
    ['may be paid for: a gateway looks like that', { id: 'claude', owned_by: 'openai' }],
    ['has a name as Ollama gives it and is not signed as Ollama does', { id: 'claude-v2:1', owned_by: 'openai' }],
    ['makes vectors', { id: 'nomic-embed-text:latest', owned_by: 'library' }],
  ] as const)
    it(`is not asked if it ${why}`, async () => {
      const { shelf, asked } = await shelved(steady, model)
      await shelf.tryOut()
      assert.deepEqual(asked, [])
    })

  it('is not asked while the GPU that it may compute on is drained', async () => {
    const { shelf, asked } = await shelved(steady)
    shelf.drain(false, ['GPU-1'])
    await shelf.tryOut()
    assert.deepEqual(asked, [])
  })
})

describe('a model whose server', () => {
  it('is gone, or has it no more, is offered as that, and as what it was once the server is back', async () => {
    let listed = ['some/model']
    const list: Answer = (response) =>
      void response.end(JSON.stringify({ data: listed.map((id) => ({ id, owned_by: 'vllm' })) }))
    const server = await serve(list, steady)
    const shelf = new Shelf({ freeBytes: async () => 1e12 })
    shelf.keep(await OpenAiBackend.open({ url: server.url }))
    const away = async () => {
      await shelf.check()
      return shelf.offers()[0]?.away
    }
    assert.equal(await away(), undefined)
    listed = ['another/model']
    assert.match((await away()) ?? '', /no more/)
    listed = ['another/model', 'some/model']
    assert.equal(await away(), undefined)
    await server.close()
    assert.match((await away()) ?? '', /does not answer/)
    await shelf.dispose()
  })

  it('has given way to one of another kind at its address is offered as gone, with that for a reason, and is back with it', async () => {
    const listOf = (...owners: string[]) =>
      JSON.stringify({
        data: owners.map((owner, i) => ({ id: i === 0 ? 'some/model' : `more:${i}`, owned_by: owner })),
      })
    const first = await serve(listOf('vllm'), steady)
    const { port } = new URL(first.url)
    const shelf = new Shelf({ freeBytes: async () => 1e12 })
    shelf.keep(await OpenAiBackend.open({ url: first.url }))
    const away = async () => {
      await shelf.check()
      return shelf.offers()[0]?.away
    }
    assert.equal(await away(), undefined)
    await first.close()
    const second = await serve(listOf('library'), steady, undefined, undefined, Number(port))
    assert.match((await away()) ?? '', /another kind of server.*ollama/)
    await second.close()
    const third = await serve(listOf('vllm', 'vllm'), steady, undefined, undefined, Number(port))
    assert.equal(await away(), undefined)
    await third.close()
    await shelf.dispose()
  })
})
