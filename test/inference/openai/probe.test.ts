import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { localBase } from '../../../inference/openai/address.js'
import { OpenAiBackend } from '../../../inference/openai/backend.js'
import { probeServers } from '../../../inference/openai/probe.js'
import { coded } from '../../contract/backend.js'
import { type ModelServer, recorded, serve } from './server.js'

describe('the address of a model server', () => {
  it('is taken with and without /v1', () => {
    for (const url of [
      'http://127.0.0.1:8000',
      'http://127.0.0.1:8000/',
      'http://127.0.0.1:8000/v1',
      'http://127.0.0.1:8000/v1/',
    ])
      assert.equal(localBase(url), 'http://127.0.0.1:8000/v1')
    assert.equal(localBase('http://[::1]:8080'), 'http://[::1]:8080/v1')
    assert.equal(localBase('http://localhost:11434'), 'http://localhost:11434/v1')
  })

  const elsewhere = [
    'http://192.0.2.7:8000',
    'https://api.example.com/v1',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://user@192.0.2.7',
    'http://[::ffff:c000:207]',
    'http://0.0.0.0:8000',
  ]
  for (const url of elsewhere)
    it(`is refused when it is not this machine: ${url}`, async () => {
      await assert.rejects(OpenAiBackend.open({ url }), coded('DENIED'))
      await assert.rejects(probeServers(url), coded('DENIED'))
    })

  for (const url of ['', 'notes', 'file:///etc/passwd', 'unix:/run/x'])
    it(`is refused when it is none: "${url}"`, () => assert.throws(() => localBase(url), coded('USAGE')))
})

describe('probing for model servers', () => {
  it('finds the one that was named', async () => {
    const server = await serve(await recorded('ollama/models.json'), () => {})
    const [found] = await probeServers(server.url, 60_000)
    assert.equal(found?.kind, 'ollama')
    assert.deepEqual(
      found?.models.map(({ id }) => id),
      ['llama3.2:latest', 'qwen3:4b'],
    )
    await server.close()
  })

  it('takes no model of Ollama that is computed in its makers’ cloud, named or not', async () => {
    const ids = ['gpt-oss:120b-cloud', 'glm-4.6:cloud', 'qwen3:4b']
    const list = (some: string[]) => JSON.stringify({ data: some.map((id) => ({ id, owned_by: 'library' })) })
    const [all, away] = [await serve(list(ids), () => {}), await serve(list(ids.slice(0, 2)), () => {})]
    assert.equal((await OpenAiBackend.open({ url: all.url })).model.name, 'qwen3:4b')
    for (const model of ids.slice(0, 2))
      await assert.rejects(OpenAiBackend.open({ url: all.url, model }), coded('DENIED'))
    await assert.rejects(OpenAiBackend.open({ url: away.url }), coded('MODEL_UNSUITED'))
    await Promise.all([all.close(), away.close()])
  })

  it('knows one by the namespace of its model, though another server signs so, and hands nothing to it that leaves', async () => {
    for (const owner of ['nvidia', 'vllm', 'llamacpp', 'sglang']) {
      const list = (...ids: string[]) => JSON.stringify({ data: ids.map((id) => ({ id, owned_by: owner })) })
      const away = `${owner}/gpt-oss:120b-cloud`
      const [mixed, alone, far, other] = await Promise.all(
        [list(away, `${owner}/qwen3:4b`), list(away), list(`hub.example/${away}`), list(`${owner}/qwen3`)].map(
          (models) => serve(models, () => {}),
        ),
      )
      const open = (server?: ModelServer, model?: string) =>
        OpenAiBackend.open({ url: server?.url ?? '', ...(model ? { model } : {}) })
      const { model } = await open(mixed)
      assert.deepEqual([model.name, model.backend], [`${owner}/qwen3:4b`, 'openai:ollama'])
      await assert.rejects(open(mixed, away), coded('DENIED'))
      for (const server of [alone, far]) await assert.rejects(open(server), coded('MODEL_UNSUITED'))
      assert.notEqual((await open(other)).model.backend, 'openai:ollama')
      await Promise.all([mixed, alone, far, other].map((server) => server?.close()))
    }
  })

  it('takes SGLang for itself: many answers at once, and no bound on thoughts', async () => {
    const server = await serve('{"data":[{"id":"qwen/qwen3","owned_by":"sglang","max_model_len":40960}]}', () => {})
    const { model, slots, mayBeTried } = await OpenAiBackend.open({ url: server.url })
    assert.deepEqual([model.backend, model.context, model.boundsThought], ['openai:sglang', 40_960, undefined])
    assert.deepEqual([slots, mayBeTried], [64, true])
    await server.close()
  })

  it('lists no model whose name is none', async () => {
    const ids = ['x'.repeat(501), 'a\u001b[2Jb', 'two\nlines', 'x'.repeat(500)]
    const server = await serve(JSON.stringify({ data: ids.map((id) => ({ id, owned_by: 'vllm' })) }), () => {})
    assert.equal((await OpenAiBackend.open({ url: server.url })).model.name, ids[3])
    const [found] = await probeServers(server.url, 60_000, [])
    assert.deepEqual(
      found?.models.map(({ id }) => id),
      ids.slice(3),
    )
    await server.close()
  })

  it('tells NIM and Dynamo apart, with the contexts that they state', async () => {
    for (const [kind, context] of [
      ['nim', 131072],
      ['dynamo', 4096],
    ] as const) {
      const server = await serve(await recorded(`${kind}/models.json`), () => {})
      const { model } = await OpenAiBackend.open({ url: server.url })
      assert.deepEqual([model.backend, model.context], [`openai:${kind}`, context])
      await server.close()
    }
  })

  it('gives up on one that says nothing', async () => {
    const server = await serve(
      () => {},
      () => {},
    )
    await assert.rejects(probeServers(server.url, 150), coded('DEADLINE'))
    await server.close()
  })

  it('says that nobody is there', async () => {
    const server = await serve('{}', () => {})
    await server.close()
    await assert.rejects(probeServers(server.url), coded('MODEL_FAILED'))
  })

  it('does not take another web server for one', async () => {
    const server = await serve('<html></html>', () => {})
    await assert.rejects(probeServers(server.url), coded('MODEL_FAILED'))
    await server.close()
  })

  it('names the models that are there when the wanted one is not', async () => {
    const server = await serve(await recorded('ollama/models.json'), () => {})
    await assert.rejects(OpenAiBackend.open({ url: server.url, model: 'nemotron' }), (thrown) => {
      return (
        coded('MODEL_UNSUITED')(thrown) &&
        thrown instanceof Error &&
        'hint' in thrown &&
        /qwen3:4b/.test(String(thrown.hint))
      )
    })
    await server.close()
  })
})
