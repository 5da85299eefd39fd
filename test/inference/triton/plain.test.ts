import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type Answer, type Backend, collect, type GenerateRequest } from '../../../inference/backend.js'
import { describeModel, shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { Graph } from '../../../inference/onnx/graph.js'
import { readLoaded } from '../../../inference/onnx/writer.js'
import { openTriton, type TritonOptions } from '../../../inference/triton/backend.js'
import { lastRow } from '../../../inference/triton/logits.js'
import { encodeTensor } from '../../../inference/triton/tensor.js'
import { backendContract, coded, countLines, sum } from '../../contract/backend.js'
import { type Asked, type ServedModel, serveTriton, type TritonServer } from '../../kit/triton.js'
import { temporaryFolder } from '../folder.js'
import { ids, markovModel } from '../markov.js'
import { plain } from './published.js'

const running: (() => unknown)[] = []
after(() => Promise.all(running.map((end) => end())))

const { model: folder } = await describeModel(
  shippedModelFolder,
  ...['config.json', 'tokenizer.json', 'tokenizer_config.json'],
)
const { shape } = readLoaded(folder).config
const graph = await Graph.load(await readFile(join(shippedModelFolder, 'model.onnx')), shape, 1)

/** The weights that ship, as a server computes them that remembers nothing: each time from the first token on. */
const shipped: ServedModel = {
  name: 'tiny',
  inputs: plain(ids.size).inputs,
  outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, ids.size] }],
  optional: [],
  answer: async function* ({ input_ids: tokens = [] }) {
    const cache = graph.cache(shape)
    const [logits = new Float32Array()] = await graph.run(cache, [{ slot: cache.open(), tokens: tokens.map(Number) }])
    yield { logits: [...logits] }
  },
}

/** Which token follows which. */
const chain = (next: (token: number) => number, changes: Partial<ServedModel> = {}): ServedModel => ({
  ...shipped,
  answer: async function* ({ input_ids: tokens = [] }) {
    yield { logits: Array.from({ length: ids.size }, (_, id) => (id === next(Number(tokens.at(-1))) ? 9 : 0)) }
  },
  ...changes,
})

async function serve(...models: ServedModel[]): Promise<TritonServer> {
  const server = await serveTriton(models)
  running.push(() => server.close())
  return server
}

async function open(server: TritonServer, options: Partial<TritonOptions> = {}): Promise<Backend> {
  const backend = await openTriton({ url: `${server.url}/tiny?tokenizer=${shippedModelFolder}`, ...options })
  running.push(() => backend.dispose())
  return backend
}

let idle = (): Promise<void> => Promise.resolve()
backendContract('A model of plain tensors on Triton', {
  open: async () => open(await serve(shipped)),
  openEndless: async () => {
    const server = await serve(chain((token) => (token >= 97 && token < 122 ? token + 1 : 97)))
    idle = server.idle
    return open(server, { slots: 1, queue: 0 })
  },
  openNarrow: async () => {
    const narrow = await markovModel(() => 97, 2048)
    const { url } = await serve(chain(() => 97))
    return openTriton({ url: `${url}/tiny?tokenizer=${narrow}` })
  },
  idle: () => idle(),
})

describe('a model of plain tensors', () => {
  it('says and calls what the built-in backend does with the same weights, the likeliest and drawn', async () => {
    const [ours, theirs] = [await OnnxBackend.open({ folder: shippedModelFolder }), await open(await serve(shipped))]
    running.push(() => ours.dispose())
    const requests: GenerateRequest[] = [
      sum,
      { ...sum, maxTokens: 20, temperature: 1.2, seed: 7 },
      { ...sum, messages: [{ role: 'user', content: 'how many lines has notes.txt?' }], tools: [countLines] },
    ]
    const answers = (backend: Backend): Promise<Answer[]> =>
      Promise.all(requests.map((request) => collect(backend.generate(request))))
    assert.deepEqual(await answers(theirs), await answers(ours))
  })

  it('is sent all tokens each time, by the names of its inputs, and asked for its logits alone', async () => {
    const extra = [
      { name: 'num_logits_to_keep', datatype: 'INT64', shape: [1] },
      { name: 'past_key_values.0.key', datatype: 'FP16', shape: [-1, 5, -1, 32] },
      { name: 'temperature', datatype: 'FP32', shape: [1] },
    ]
    const model = chain((token) => (token === ids.assistant ? 97 : ids.end))
    const server = await serve({ ...model, inputs: [...model.inputs, ...extra], optional: ['temperature'] })
    const backend = await open(server)
    assert.deepEqual([backend.model.backend, backend.model.context], ['triton:plain', 512])
    // Measured with 64 tokens, each of which takes as long as all of them.
    const { prefill = 0, decode = 0 } = backend.speed ?? {}
    assert.ok(decode > 0 && Math.abs(prefill / decode - 64) < 1e-6)
    assert.equal((await collect(backend.generate(sum))).text, 'a')
    const [, , first = assert.fail(), second = assert.fail()] = server.asked.map(({ inputs }): Asked => inputs)
    const { input_ids: tokens = [] } = first
    assert.equal(tokens.at(-1), ids.assistant)
    assert.deepEqual(second.input_ids, [...tokens, 97])
    assert.deepEqual(first, {
      input_ids: tokens,
      attention_mask: tokens.map(() => 1),
      position_ids: [...tokens.keys()],
      num_logits_to_keep: [1],
      'past_key_values.0.key': [],
    })
  })

  it('is computed no more when nobody waits for it', async () => {
    let computing = false
    let wasStopped = false
    const slow = chain(() => 97, {
      answer: async function* ({ input_ids: tokens = [] }, signal) {
        // With what it is tried with it is not slow.
        computing = tokens.at(-1) === ids.assistant
        if (computing) await new Promise((resolve) => signal.addEventListener('abort', resolve))
        wasStopped ||= signal.aborted
        yield { logits: new Array<number>(ids.size).fill(0) }
      },
    })
    const server = await serve(slow)
    const backend = await open(server)
    const cancel = new AbortController()
    const answer = assert.rejects(collect(backend.generate(sum, cancel.signal)), coded('CANCELLED'))
    while (!computing) await new Promise(setImmediate)
    cancel.abort()
    await answer
    await server.idle()
    assert.ok(wasStopped)
    const hurried = await open(server, { deadlines: { silence: 60_000, total: 100 } })
    await assert.rejects(collect(hurried.generate(sum)), coded('DEADLINE'))
  })

  it('is a clear error when its server goes away in mid-answer', async () => {
    const server = await serve(chain(() => 97))
    const backend = await open(server)
    const answer = (async () => {
      for await (const { type } of backend.generate(sum)) if (type === 'token') server.close()
    })()
    await assert.rejects(answer, coded('MODEL_FAILED'))
  })

  it('that was loaded for this leaves in the end, also where it cannot be used', async () => {
    const server = await serve({ ...chain(() => ids.end), unloaded: true })
    await (await open(server)).dispose()
    await assert.rejects(openTriton({ url: `${server.url}/tiny` }), coded('MODEL_UNSUITED'))
    assert.deepEqual(server.moved, ['load tiny', 'unload tiny', 'load tiny', 'unload tiny'])
  })
})

describe('a model of plain tensors is refused', () => {
  const refused: [string, Partial<ServedModel>, RegExp][] = [
    [
      'an input that nobody knows',
      { inputs: [...shipped.inputs, { name: 'pixels', datatype: 'FP32', shape: [3] }] },
      /pixels/,
    ],
    ['a vocabulary of another size', { outputs: plain(8).outputs }, /8 numbers .* 262 tokens/],
    [
      'logits of a type that is not read',
      { outputs: [{ name: 'logits', datatype: 'INT32', shape: [-1, 262] }] },
      /INT32/,
    ],
    [
      'a shape that it does not take',
      { inputs: shipped.inputs.map((input) => ({ ...input, shape: [2, -1] })) },
      /shape/,
    ],
    ['no logits', { outputs: [{ name: 'labels', datatype: 'INT64', shape: [-1] }] }, /input_ids/],
  ]
  for (const [what, changes, words] of refused)
    it(`for ${what}`, async () => {
      const server = await serve(chain(() => ids.end, changes))
      await assert.rejects(open(server), (thrown) => coded('MODEL_UNSUITED')(thrown) && words.test(String(thrown)))
    })

  it('without a folder that says what its tokens mean, which the error asks for', async () => {
    const server = await serve(chain(() => ids.end))
    await assert.rejects(openTriton({ url: `${server.url}/tiny` }), (thrown) => {
      return coded('MODEL_UNSUITED')(thrown) && /\?tokenizer=/.test((thrown as { hint: string }).hint)
    })
    const url = `${server.url}/tiny?tokenizer=${await temporaryFolder()}`
    await assert.rejects(openTriton({ url }), coded('MODEL_BROKEN'))
    for (const path of ['tiny?tokenizer=here', `tiny?tokenizer=${shippedModelFolder}&chat=chatml`])
      await assert.rejects(openTriton({ url: `${server.url}/${path}` }), coded('USAGE'))
  })

  it('for a prompt that its context does not hold, and for logits that are no numbers', async () => {
    const backend = await open(await serve(chain(() => ids.end)))
    const long = [{ role: 'user' as const, content: 'x'.repeat(600) }]
    await assert.rejects(collect(backend.generate({ ...sum, messages: long })), coded('MODEL_UNSUITED'))
    const nonsense = chain(() => 0, {
      answer: async function* () {
        yield { logits: new Array<number>(ids.size).fill(Number.NaN) }
      },
    })
    await assert.rejects(collect((await open(await serve(nonsense))).generate(sum)), coded('MODEL_FAILED'))
  })
})

describe('logits', () => {
  const of = (datatype: string, shape: number[], bytes: Buffer, tokens = 2) =>
    lastRow(
      { id: '', parameters: {}, outputs: [{ name: 'logits', datatype, shape }], raw_output_contents: [bytes] },
      2,
      tokens,
    )
  const floats = (...values: number[]): Buffer => encodeTensor('FP32', values).raw

  it('are those of the last token, whatever they are written as', () => {
    for (const shape of [
      [1, 2, 2],
      [2, 2],
      [1, 1, 2, 2],
    ])
      assert.deepEqual(of('FP32', shape, floats(1, 2, 3, -4)), Float32Array.of(3, -4))
    assert.deepEqual(of('FP16', [1, 2], Buffer.from([0x00, 0x3c, 0x00, 0xc4])), Float32Array.of(1, -4))
    assert.deepEqual(of('BF16', [2], Buffer.from([0x80, 0x3f, 0x80, 0xc0])), Float32Array.of(1, -4))
  })

  it('are refused where bytes and shape do not agree', () => {
    for (const [shape, bytes] of [
      [[1, 2, 2], floats(1, 2)],
      [[0, 2], Buffer.alloc(0)],
      [[1, 2], Buffer.alloc(7)],
    ] as const)
      assert.throws(() => of('FP32', [...shape], bytes), coded('MODEL_FAILED'))
    assert.throws(() => of('FP32', [1, 3], floats(1, 2, 3)), coded('MODEL_UNSUITED'))
    // Filled up to a length of the server's own: the last row is of no token.
    assert.throws(() => of('FP32', [1, 4, 2], floats(1, 2, 3, 4, 0, 0, 0, 0)), coded('MODEL_UNSUITED'))
  })
})
