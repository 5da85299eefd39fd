import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Answer, type Backend, collect } from '../../../inference/backend.js'
import { shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { Shelf } from '../../../inference/shelf.js'
import { openTriton } from '../../../inference/triton/backend.js'
import { TritonClient } from '../../../inference/triton/client.js'
import { backendContract, coded, countLines, sum } from '../../contract/backend.js'
import { eventually } from '../../kit/eventually.js'
import { type RealTriton, startTriton } from '../../kit/real-triton.js'
import { bls, llmApi, plain, vllm } from './published.js'

/** A Python environment with nvidia-pytriton; `npm run soak -- triton` makes one. */
const environment = process.env['CLAWMESH_TEST_TRITON']

/** Whether onnxruntime is there as well, for a model of plain tensors. */
const computes =
  environment !== undefined &&
  readdirSync(join(environment, 'lib')).some((python) =>
    existsSync(join(environment, 'lib', python, 'site-packages', 'onnxruntime')),
  )

const dialects = { vllm, 'tensorrt-llm': bls, 'tensorrt-llm-api': llmApi }

const past = ['key', 'value'].map((part) => ({
  name: `past_key_values.0.${part}`,
  datatype: 'FP32',
  shape: [-1, 5, -1, 32],
}))

describe('a real Triton', {
  skip: environment ? false : 'CLAWMESH_TEST_TRITON names no Python environment with nvidia-pytriton',
}, () => {
  let triton: RealTriton
  const open = (path: string, slots?: number): Promise<Backend> =>
    openTriton({ url: `${triton.url}/${path}`, ...(slots ? { slots, queue: 0 } : {}) })
  const models = Object.entries(dialects).flatMap(([dialect, published]) => [
    { name: dialect, dialect, published, behaviour: 'answer' as const },
    { name: `${dialect}-endless`, dialect, published, behaviour: 'endless' as const },
  ])
  const weights = { model: join(shippedModelFolder, 'model.onnx') }
  const tensors = (['plain', 'plain-past'] as const).map((name) => ({
    name,
    dialect: 'plain',
    behaviour: 'answer' as const,
    program: 'plain.py',
    parameters: weights,
    decoupled: false,
    published: {
      inputs: [...plain(262).inputs, ...(name === 'plain' ? [] : past)],
      outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, 262] }],
    },
  }))
  before(async () => {
    triton = await startTriton(environment ?? '', [
      ...models,
      { name: 'faulty', dialect: 'vllm', published: vllm, behaviour: 'faulty' },
      { name: 'asleep', dialect: 'vllm', published: vllm, behaviour: 'answer', unloaded: true },
      { name: 'deaf', dialect: 'tensorrt-llm-api', published: llmApi, behaviour: 'deaf' },
      ...(computes ? tensors : []),
      { name: 'at-once', dialect: 'vllm', published: vllm, behaviour: 'answer', decoupled: false },
    ])
  })
  after(() => triton?.stop())

  for (const dialect of Object.keys(dialects))
    backendContract(`a model in the dialect ${dialect}`, {
      open: () => open(dialect),
      // The model answers one request at a time: the next is answered only when the server has noticed that the one before was cancelled.
      openEndless: () => open(`${dialect}-endless`, 1),
      countsTokens: dialect !== 'tensorrt-llm-api',
    })

  it('answers what was computed from the prompt, in UTF-8', async () => {
    for (const path of [...Object.keys(dialects), 'at-once']) {
      const backend = await open(path)
      assert.equal((await collect(backend.generate(sum))).text.trim(), '12 + 7 is 19. 🦞', path)
      await backend.dispose()
    }
  })

  it('loads a model that is named, and unloads it in the end', async () => {
    const client = new TritonClient(new URL(triton.url).host)
    const states = async () =>
      (await client.ask('RepositoryIndex', {}, 5000)).flatMap(({ name, state }) => (name === 'asleep' ? [state] : []))
    // More than once, and behind several answers: what is cut as it ends may keep Triton from letting go of the model.
    for (let round = 0; round < 4; round += 1) {
      assert.ok(!(await states()).includes('READY'))
      const backend = await open('asleep')
      assert.deepEqual(await states(), ['READY'])
      const answers = await Promise.all(Array.from({ length: 8 }, () => collect(backend.generate(sum))))
      for (const { text } of answers) assert.equal(text.trim(), '12 + 7 is 19. 🦞')
      await backend.dispose()
      await eventually(async () => assert.deepEqual(await states(), ['UNAVAILABLE']))
    }
    await assert.rejects(open('nowhere'), coded('MODEL_UNSUITED'))
    client.close()
  })

  it('is measured when it is opened, in each dialect', async () => {
    for (const dialect of Object.keys(dialects)) {
      const shelf = new Shelf({ freeBytes: async () => 1e12 })
      shelf.keep(await open(dialect))
      await shelf.tryOut()
      const { speed, speedFrom } = shelf.offers()[0] ?? assert.fail()
      assert.ok(speed && speed.prefill > 0 && speed.decode > 0, dialect)
      assert.equal(speedFrom, 'load')
      await shelf.dispose()
    }
  })

  it('reports an error in the middle of an answer', async () => {
    const backend = await open('faulty')
    const answer = collect(backend.generate(sum))
    await assert.rejects(
      answer,
      (thrown) => coded('MODEL_FAILED')(thrown) && String(thrown).includes('the model broke down'),
    )
    await backend.dispose()
  })

  it('answers forty at once, each with its own sum', async () => {
    const backend = await open('vllm')
    const questions = Array.from({ length: 40 }, (_, i) => `${i} + 1`)
    const answers = await Promise.all(
      questions.map((content) => collect(backend.generate({ ...sum, messages: [{ role: 'user', content }] }))),
    )
    assert.deepEqual(
      answers.map(({ text }) => text.trim()),
      questions.map((question, i) => `${question} is ${i + 1}. 🦞`),
    )
    await backend.dispose()
  })

  it('stops a model that hears nothing but a stop with the id of its request', async () => {
    const backend = await open('deaf')
    const endless = { ...sum, maxTokens: 100_000, thinking: false }
    for await (const { type } of backend.generate(endless)) if (type === 'token') break
    await eventually(async () =>
      assert.match((await collect(backend.generate({ ...endless, maxTokens: 1 }))).text, /^0 others/),
    )
    await backend.dispose()
  })

  it('serves a model of plain tensors, which says and calls what the built-in backend does with the same weights', {
    skip: computes ? false : 'the environment has no onnxruntime',
  }, async () => {
    const ours = await OnnxBackend.open({ folder: shippedModelFolder })
    const question = { ...sum, messages: [{ role: 'user' as const, content: 'how many lines has notes.txt?' }] }
    const requests = [sum, { ...sum, temperature: 1.2, seed: 7, maxTokens: 12 }, { ...question, tools: [countLines] }]
    const answers = async (backend: Backend) => {
      const said: Answer[] = []
      for (const request of requests) said.push(await collect(backend.generate(request)))
      return said
    }
    const expected = await answers(ours)
    for (const { name } of tensors) {
      const backend = await open(`${name}?tokenizer=${shippedModelFolder}`)
      assert.deepEqual(await answers(backend), expected, name)
      await backend.dispose()
    }
    await ours.dispose()
  })

  it('tells what it is and has', async () => {
    const client = new TritonClient(new URL(triton.url).host)
    const server = await client.ask('ServerMetadata', {}, 5000)
    assert.equal(server.name, 'triton')
    assert.deepEqual(await client.ask('ServerLive', {}, 5000), { live: true })
    const index = await client.ask('RepositoryIndex', { ready: true }, 5000)
    assert.deepEqual(
      index.map(({ name }) => name).sort(),
      [...[...models, ...(computes ? tensors : [])].map(({ name }) => name), 'at-once', 'deaf', 'faulty'].sort(),
    )
    const [statistics] = await client.ask('ModelStatistics', { name: 'vllm' }, 5000)
    assert.ok(statistics && statistics.inference_count >= 40 && (statistics.inference_stats?.success?.ns ?? 0) > 0)
    client.close()
  })

  it('is a clear error when it is gone, in mid-answer and afterwards', async () => {
    const backend = await open('vllm-endless')
    const answer = (async () => {
      for await (const { type } of backend.generate({ ...sum, maxTokens: 100_000 })) if (type === 'token') triton.kill()
    })()
    await assert.rejects(answer, coded('MODEL_FAILED'))
    await assert.rejects(collect(backend.generate(sum)), coded('MODEL_FAILED'))
    await backend.dispose()
  })
})
