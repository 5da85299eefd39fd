import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type Answer, type Backend, collect, type GenerateRequest } from '../../../inference/backend.js'
import { Shelf } from '../../../inference/shelf.js'
import { openTriton, type TritonOptions } from '../../../inference/triton/backend.js'
import { backendContract, coded, countLines, sum } from '../../contract/backend.js'
import { type Asked, type Given, type ServedModel, serveTriton, type TritonServer } from '../../kit/triton.js'
import { bls, llmApi, vllm } from './published.js'

const running: (() => unknown)[] = []
after(() => Promise.all(running.map((end) => end())))

async function serve(...models: ServedModel[]): Promise<TritonServer> {
  const server = await serveTriton(models)
  running.push(() => server.close())
  return server
}

async function open(server: TritonServer, path: string, options: Partial<TritonOptions> = {}): Promise<Backend> {
  const backend = await openTriton({ url: `${server.url}/${path}`, ...options })
  running.push(() => backend.dispose())
  return backend
}

const name = 'Llama-3.1-Nemotron-Nano-8B-v1'

/** What a small model would write: a call where tools are shown, else a sum in words of a few characters. */
function written(prompt: string): string[] {
  if (prompt.includes('count_lines'))
    return ['<TOOL', 'CALL>[{"name": "count_lines", ', '"arguments": {"path": "notes.txt"}}]', '</TOOLCALL>']
  return ['12 + ', '7 is ', '19.']
}

/** The pieces in a dialect's own terms: what is sent for the n-th of them. */
type Speak = (pieces: readonly string[], n: number, last: boolean, prompt: string) => Given

const dialects: Record<string, { published: typeof vllm; limit(asked: Asked): number; speak: Speak; tooLong: string }> =
  {
    vllm: {
      published: vllm,
      tooLong: "This model's maximum context length is 2048 tokens. However, you requested 10064 tokens",
      limit: (asked) => (JSON.parse(String(asked.sampling_parameters?.[0])) as { max_tokens: number }).max_tokens,
      speak: (pieces, n, last, prompt) => ({
        text_output: pieces[n] ?? '',
        finish_reason: last ? 'stop' : 'None',
        num_input_tokens: prompt.length,
        num_output_tokens: 1,
      }),
    },
    'tensorrt-llm': {
      published: bls,
      tooLong: 'Cannot process new request: Prompt length (10000) exceeds maximum sequence length (2048)',
      limit: (asked) => Number(asked.max_tokens?.[0]),
      speak: (pieces, n, _, prompt) => ({
        text_output: pieces[n] ?? '',
        num_input_tokens: prompt.length,
        num_output_tokens: 1,
      }),
    },
    'tensorrt-llm-api': {
      published: llmApi,
      tooLong: 'Prompt length (10000) exceeds maximum input length (2047)',
      limit: (asked) => Number(asked.sampling_param_max_tokens?.[0]),
      speak: (pieces, n, last) => ({
        text_output: pieces.slice(0, n + 1).join(''),
        finish_reason: last ? 'stop' : 'None',
      }),
    },
  }

function model(
  dialect: string,
  pieces: (prompt: string) => readonly string[],
  changes: Partial<ServedModel> = {},
): ServedModel {
  const { published, limit, speak } = dialects[dialect] ?? assert.fail(dialect)
  return {
    name,
    ...published,
    answer: async function* (asked) {
      const prompt = String(asked.text_input?.[0])
      const all = pieces(prompt).slice(0, limit(asked))
      for (const n of all.keys()) yield speak(all, n, n === all.length - 1, prompt)
    },
    ...changes,
  }
}

/** Never ends by itself; one of it alone runs at a time. */
function endless(dialect: string): ServedModel {
  const { published, limit, speak } = dialects[dialect] ?? assert.fail(dialect)
  return {
    name,
    ...published,
    answer: async function* (asked, signal) {
      const all: string[] = []
      for (const most = limit(asked); all.length < most && !signal.aborted; ) {
        all.push('on ')
        yield speak(all, all.length - 1, false, '')
      }
    },
  }
}

/** Refuses what is longer than its context as its backend does: in the stream. */
function narrow(dialect: string): ServedModel {
  const { tooLong } = dialects[dialect] ?? assert.fail(dialect)
  const short = model(dialect, () => ['on ', 'and ', 'on '])
  return {
    ...short,
    answer: async function* (asked, signal) {
      if (String(asked.text_input?.[0]).length > 2048) yield { error: tooLong }
      else for await (const given of short.answer(asked, signal)) yield { ...given, finish_reason: 'length' }
    },
  }
}

for (const dialect of Object.keys(dialects)) {
  let idle = (): Promise<void> => Promise.resolve()
  backendContract(`A model on Triton in the dialect ${dialect}`, {
    open: async () => open(await serve(model(dialect, written)), ''),
    openEndless: async () => {
      const server = await serve(endless(dialect))
      idle = server.idle
      return open(server, name, { slots: 1, queue: 0 })
    },
    openNarrow: async () => open(await serve(narrow(dialect)), name),
    idle: () => idle(),
    countsTokens: dialect !== 'tensorrt-llm-api',
  })
}

const question: GenerateRequest = { ...sum, messages: [{ role: 'user', content: 'how many lines has notes.txt?' }] }

async function ask(
  served: ServedModel,
  request: GenerateRequest = sum,
  options: Partial<TritonOptions> = {},
): Promise<Answer> {
  return collect((await open(await serve(served), '', options)).generate(request))
}

describe('a model on Triton', () => {
  it('is asked one question at a time where it has one slot, the others wait, and one more than may is told so', async () => {
    let [most, now] = [0, 0]
    const quick = model('vllm', written)
    const counted: ServedModel = {
      ...quick,
      answer: async function* (asked, signal) {
        most = Math.max(most, ++now)
        await new Promise(setImmediate)
        yield* quick.answer(asked, signal)
        now--
      },
    }
    const backend = await open(await serve(counted), '', { slots: 1, queue: 2 })
    const asked = [0, 1, 2].map(() => collect(backend.generate(sum)))
    await assert.rejects(collect(backend.generate(sum)), coded('MODEL_BUSY'))
    const answers = await Promise.all(asked)
    assert.deepEqual([answers.map(({ text }) => text), most], [Array(3).fill('12 + 7 is 19.'), 1])
  })

  it('is told what was asked in the words of its dialect', async () => {
    const request = { ...sum, temperature: 0.5, seed: 7, maxTokens: 9 }
    const asked = async (dialect: string): Promise<Asked> => {
      const server = await serve(model(dialect, written))
      await collect((await open(server, '')).generate(request))
      return server.asked[0]?.inputs ?? assert.fail()
    }
    const [first, second, third] = [await asked('vllm'), await asked('tensorrt-llm'), await asked('tensorrt-llm-api')]
    assert.deepEqual(JSON.parse(String(first.sampling_parameters?.[0])), {
      max_tokens: 9,
      temperature: 0.5,
      seed: 7,
      stop: ['<|eot_id|>'],
    })
    assert.deepEqual([first.stream, first.exclude_input_in_output], [[1], [1]])
    assert.match(String(first.text_input?.[0]), /^<\|start_header_id\|>system[\s\S]*12 \+ 7/)
    assert.deepEqual(
      [second.max_tokens, second.temperature, second.seed, second.stop_words],
      [[9], [0.5], [7], ['<|eot_id|>']],
    )
    assert.deepEqual([third.sampling_param_max_tokens, third.sampling_param_seed, third.streaming], [[9], [7], [1]])
  })

  it('is found by itself where it is the only one, and says what it is', async () => {
    const backend = await open(await serve(model('vllm', written, { parameters: { max_model_len: '8192' } })), '')
    assert.deepEqual([backend.model.name, backend.model.backend, backend.model.context], [name, 'triton:vllm', 8192])
  })

  it('has its thoughts told apart from its answer', async () => {
    const answer = await ask(
      model('vllm', () => ['Twelve', ' and seven.</th', 'ink>\n', '19'], { name: 'NVIDIA-Nemotron-Nano-9B-v2' }),
      { ...sum, thinking: true },
    )
    assert.deepEqual([answer.thought, answer.text], ['Twelve and seven.', '19'])
  })

  it('does not repeat the prompt or the words that end an answer', async () => {
    const inputs = vllm.inputs.filter(({ name }) => name !== 'exclude_input_in_output')
    const echo = model('vllm', (prompt) => [prompt.slice(0, 9), prompt.slice(9), '19', '<|eot', '_id|>', 'more'], {
      inputs,
    })
    assert.equal((await ask(echo, { ...sum, thinking: false })).text, '19')
  })

  it('may send all text so far, with a last character that is not complete', async () => {
    const whole: ServedModel = {
      ...model('tensorrt-llm-api', written),
      answer: async function* () {
        for (const text of ['na', 'na\ufffd', 'naï', 'naïf \ufffd\ufffd', 'naïf 🦞']) yield { text_output: text }
      },
    }
    assert.equal((await ask(whole, { ...sum, thinking: false })).text, 'naïf 🦞')
    const accumulating = model('tensorrt-llm', () => ['1', '12', '129'], { parameters: { accumulate_tokens: 'True' } })
    assert.equal((await ask(accumulating, { ...sum, thinking: false })).text, '129')
  })

  it('that gives its answer at once is not asked to stream', async () => {
    const server = await serve(model('vllm', () => ['19.'], { decoupled: false }))
    const backend = await open(server, '')
    assert.equal((await collect(backend.generate({ ...sum, thinking: false }))).text, '19.')
    assert.deepEqual(server.asked[0]?.inputs.stream, [0])
  })

  it('that is not loaded is loaded when it is named, and leaves in the end; one that was there stays', async () => {
    const server = await serve(model('vllm', written, { unloaded: true }), model('vllm', written, { name: 'qwen' }))
    const backend = await open(server, name)
    assert.deepEqual(server.moved, [`load ${name}`])
    assert.equal((await collect(backend.generate({ ...sum, thinking: false }))).text, '12 + 7 is 19.')
    const other = await open(server, 'qwen')
    await Promise.all([backend.dispose(), other.dispose()])
    assert.deepEqual(server.moved, [`load ${name}`, `unload ${name}`])
    const full = await serve(model('vllm', written, { unloaded: { error: 'failed to load: CUDA out of memory' } }))
    await assert.rejects(open(full, name), coded('MEMORY_FULL'))
    // What turns out to be none that can be asked does not stay either.
    const alien = await serve(model('vllm', written, { unloaded: true, inputs: [] }))
    await assert.rejects(open(alien, name), coded('MODEL_UNSUITED'))
    assert.deepEqual(alien.moved, [`load ${name}`, `unload ${name}`])
    const fixed = await serve(
      model('vllm', written, { unloaded: { error: 'explicit model load / unload is not allowed' } }),
    )
    await assert.rejects(open(fixed, name), coded('MODEL_UNSUITED'))
  })

  it('is shown images where its family takes them, each at its place, and no other is', async () => {
    const image = { type: 'image/png' as const, data: 'aGk=' }
    const messages = [
      { role: 'user' as const, content: 'a <image> of what?', images: [image, { ...image, data: 'aG8=' }] },
      { role: 'user' as const, content: 'and this?', images: [image] },
    ]
    const server = await serve(model('vllm', written, { name: 'NVIDIA-Nemotron-Nano-12B-v2-VL' }))
    const backend = await open(server, '')
    assert.deepEqual(backend.model.modalities, ['text', 'image'])
    await collect(backend.generate({ ...sum, messages, thinking: false }))
    const { image: shown, text_input: [prompt] = [] } = server.asked[0]?.inputs ?? assert.fail()
    assert.deepEqual(shown, ['aGk=', 'aG8=', 'aGk='])
    assert.match(String(prompt), /User\n<image>\n<image>\na <\u200bimage> of what\?[\s\S]*User\n<image>\nand this\?/)
    assert.equal(String(prompt).split('<image>').length, 4)
    // The tensor is listed for models that see nothing, too.
    const blind = await open(await serve(model('vllm', written)), '')
    await assert.rejects(collect(blind.generate({ ...sum, messages })), coded('MODEL_UNSUITED'))
    const told = await open(await serve(model('vllm', written, { parameters: { image_mark: '<|image_pad|>' } })), '')
    assert.deepEqual(told.model.modalities, ['text', 'image'])
  })

  it('refuses a bound on thoughts, for which no dialect has a word, and says beforehand that it cannot be held to one', async () => {
    const server = await serve(model('vllm', written))
    const backend = await open(server, '')
    assert.ok(!backend.model.boundsThought)
    await assert.rejects(collect(backend.generate({ ...sum, thoughtTokens: 9 })), coded('MODEL_UNSUITED'))
    assert.equal(server.asked.length, 0)
    await collect(backend.generate({ ...sum, thoughtTokens: 9, thinking: false }))
  })

  it('is told by the id of its request that an answer is not wanted any more, where its dialect has a word for that', async () => {
    const ended: ((backend: Backend) => Promise<unknown>)[] = [
      async (backend) => {
        for await (const { type } of backend.generate({ ...sum, maxTokens: 100_000 })) if (type === 'token') break
      },
      async (backend) => {
        const cancel = new AbortController()
        for await (const _ of backend.generate({ ...sum, maxTokens: 100_000 }, cancel.signal)) cancel.abort()
      },
      async (backend) => {
        for await (const _ of backend.generate({ ...sum, maxTokens: 100_000 })) await backend.dispose()
      },
    ]
    for (const end of ended) {
      const server = await serve(endless('tensorrt-llm-api'))
      const backend = await open(server, '')
      await end(backend).catch(coded('CANCELLED'))
      await backend.dispose()
      const [first, second] = server.asked
      assert.ok(first && first.id !== '')
      assert.deepEqual(second, { id: first.id, inputs: { text_input: [''], stop: [1] } })
    }
    // Neither what has come to its end, nor a model that has no such input, is told anything.
    const older = { ...llmApi, inputs: llmApi.inputs.filter(({ name }) => name !== 'stop') }
    for (const served of [
      model('tensorrt-llm-api', written),
      { ...endless('tensorrt-llm-api'), ...older },
      endless('vllm'),
    ]) {
      const server = await serve(served)
      const backend = await open(server, '')
      for await (const { type } of backend.generate({ ...sum, thinking: false, maxTokens: 64 }))
        if (served.answer.length === 2 && type === 'token') break
      await backend.dispose()
      assert.equal(server.asked.length, 1)
    }
  })

  it('is measured when it is opened, in every dialect: one that counts no tokens, too', async () => {
    for (const dialect of Object.keys(dialects)) {
      const slow = model(dialect, () => Array.from({ length: 60 }, () => 'on '))
      const given = slow.answer
      slow.answer = async function* (asked, signal) {
        for await (const piece of given(asked, signal)) {
          await new Promise((resolve) => setTimeout(resolve, 2))
          yield piece
        }
      }
      const server = await serve(slow)
      const shelf = new Shelf({ freeBytes: async () => 1e12 })
      shelf.keep(await open(server, ''))
      await shelf.tryOut()
      const { speed, speedFrom } = shelf.offers()[0] ?? assert.fail()
      assert.ok(speed && speed.prefill > 0 && speed.decode > 0 && speed.decode < 1000, `${dialect} ${speed?.decode}`)
      assert.deepEqual([speedFrom, server.asked.length], ['load', 2])
      await shelf.dispose()
    }
  })

  it('serves many at once, each with its own answer', async () => {
    const backend = await open(await serve(model('vllm', (prompt) => [prompt.match(/number \d+/)?.[0] ?? 'none'])), '')
    const numbers = Array.from({ length: 40 }, (_, i) => `number ${i}`)
    const answers = await Promise.all(
      numbers.map((content) =>
        collect(backend.generate({ ...sum, messages: [{ role: 'user', content }], thinking: false })),
      ),
    )
    assert.deepEqual(
      answers.map(({ text }) => text),
      numbers,
    )
  })
})

describe('what Triton gets wrong becomes one clear error', () => {
  const saying = (...given: Given[]): ServedModel => ({
    ...model('vllm', written),
    answer: async function* () {
      yield* given
    },
  })
  const wrong: [string, ServedModel, Parameters<typeof coded>[0]][] = [
    ['an error in the stream', saying({ text_output: 'on ' }, { error: 'CUDA out of memory' }), 'MODEL_FAILED'],
    ['a full queue', saying({ error: 'in-flight request exceeds maximum queue size 8' }), 'MODEL_BUSY'],
    [
      'a prompt that is too long',
      saying({ error: 'The decoder prompt is longer than the maximum model length of 2048' }),
      'MODEL_UNSUITED',
    ],
    [
      'a shape that it does not take',
      { ...model('vllm', written), inputs: vllm.inputs.map((input) => ({ ...input, shape: [2] })) },
      'MODEL_UNSUITED',
    ],
    ['a stream that ends in mid-answer', { ...saying({ text_output: 'on ' }), final: false }, 'MODEL_FAILED'],
    [
      'a call of a tool that was not offered',
      model('vllm', () => ['<TOOLCALL>[{"name":"rm","arguments":{}}]</TOOLCALL>']),
      'MODEL_FAILED',
    ],
    ['a call that is cut off', model('vllm', () => ['<TOOLCALL>[{"name":"count_li']), 'MODEL_FAILED'],
    [
      'text that it takes back',
      model('tensorrt-llm-api', () => ['on'], {
        answer: async function* () {
          yield { text_output: 'one' }
          yield { text_output: 'two' }
        },
      }),
      'MODEL_FAILED',
    ],
    [
      'more text than was asked for',
      saying(...Array.from({ length: 80 }, () => ({ text_output: 'x'.repeat(1000) }))),
      'MODEL_FAILED',
    ],
    [
      'pieces without end and without text',
      {
        ...model('vllm', written),
        answer: async function* (_, signal) {
          while (!signal.aborted) yield { text_output: '' }
        },
      },
      'MODEL_FAILED',
    ],
  ]
  for (const [what, served, code] of wrong)
    it(what, () => assert.rejects(ask(served, { ...question, tools: [countLines], thinking: false }), coded(code)))

  const silent: ServedModel = {
    ...model('vllm', written),
    answer: async function* (_, signal) {
      yield { text_output: 'on ' }
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
  it('silence', () =>
    assert.rejects(ask(silent, sum, { deadlines: { silence: 150, total: 60_000 } }), coded('DEADLINE')))

  it('an answer that never ends', () =>
    assert.rejects(
      ask(endless('vllm'), { ...sum, maxTokens: 10_000_000 }, { deadlines: { silence: 60_000, total: 250 } }),
      coded('DEADLINE'),
    ))

  it('a stream that stays open behind the final response is no fault', async () =>
    assert.equal(
      (
        await ask(
          model('vllm', () => ['19'], { hangs: true }),
          { ...sum, thinking: false },
        )
      ).text,
      '19',
    ))

  it('a stream that ends behind the final response is left to do so, and is over before the model is unloaded', async () => {
    const server = await serve(model('vllm', () => ['19'], { hangs: 60, unloaded: true }))
    const backend = await open(server, name)
    await Promise.all([1, 2, 3].map(() => collect(backend.generate({ ...sum, thinking: false }))))
    await backend.dispose()
    assert.deepEqual([server.moved, server.cut], [[`load ${name}`, `unload ${name}`], 0])
  })

  it('a model that never comes to the end of being unloaded: neither who wants it nor who leaves waits for that', {
    timeout: 30_000,
  }, async () => {
    const server = await serve(model('vllm', written, { stuck: true }))
    const failed = assert.rejects(open(server, name, { loadMs: 300 }), coded('MODEL_BUSY'))
    const leaving = model('vllm', written, { unloaded: true })
    const other = await serve(leaving)
    const backend = await open(other, name, { deadlines: { silence: 300, total: 60_000 } })
    assert.equal(await backend.away?.(), undefined)
    leaving.stuck = true
    assert.match((await backend.away?.()) ?? '', /no more/)
    await backend.dispose()
    assert.deepEqual(other.moved, [`load ${name}`, `unload ${name}`])
    await failed
    assert.deepEqual(server.moved, [])
  })

  it('a server that goes away in mid-answer', async () => {
    const server = await serve(endless('vllm'))
    const backend = await open(server, '')
    const answer = (async () => {
      for await (const { type } of backend.generate({ ...sum, maxTokens: 100_000 })) if (type !== 'done') server.close()
    })()
    await assert.rejects(answer, coded('MODEL_FAILED'))
    await assert.rejects(collect(backend.generate(sum)), coded('MODEL_FAILED'))
    assert.match((await backend.away?.()) ?? '', /does not answer/)
  })

  it('a server that is not there, or has no such model, or several, or one that is no language model', async () => {
    const server = await serve(model('vllm', written), model('vllm', written, { name: 'vllm_model' }), {
      ...model('vllm', written),
      name: 'resnet',
      inputs: [{ name: 'pixels', datatype: 'FP32', shape: [3, 224, 224] }],
    })
    await assert.rejects(open(server, 'nowhere'), coded('MODEL_UNSUITED'))
    await assert.rejects(open(server, ''), coded('MODEL_UNSUITED'))
    await assert.rejects(open(server, 'resnet'), coded('MODEL_UNSUITED'))
    // Its name does not give its chat format away, and none is guessed.
    await assert.rejects(open(server, 'vllm_model'), coded('MODEL_UNSUITED'))
    await assert.rejects(open(server, 'vllm_model?chat=morse'), coded('USAGE'))
    await assert.rejects(open(server, 'vllm_model?chat=chatml&tokenizer=/models'), coded('USAGE'))
    await open(server, 'vllm_model?chat=chatml')
    server.close()
    await assert.rejects(open(server, name), coded('MODEL_FAILED'))
  })

  it('a model that is still being loaded', async () =>
    assert.rejects(open(await serve(model('vllm', written, { ready: false })), ''), coded('MODEL_BUSY')))

  it('an address elsewhere, or none', async () => {
    for (const url of [
      'grpc://192.0.2.7:8001/m',
      'grpc://triton.example/m',
      'grpc://127.0.0.1.example:8001/m',
      'triton://0.0.0.0:8001',
    ])
      await assert.rejects(openTriton({ url }), coded('DENIED'), url)
    for (const url of [
      'grpc://',
      'http://127.0.0.1:8001/m',
      'grpc://127.0.0.1:8001/a/b',
      'grpc://me:key@127.0.0.1/m',
      'grpc://127.0.0.1/m?x=1',
      'grpc://127.0.0.1/%zz',
    ])
      await assert.rejects(openTriton({ url }), coded('USAGE'), url)
  })
})
