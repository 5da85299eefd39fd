import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadSync } from '@grpc/proto-loader'
import { z } from 'zod'
import { collect } from '../../../inference/backend.js'
import { openTriton } from '../../../inference/triton/backend.js'
import { readPiece } from '../../../inference/triton/dialect.js'
import {
  type InferRequest,
  method,
  replies,
  streamResponseSchema,
  type Unary,
} from '../../../inference/triton/protocol.js'
import { decodeTensor, encodeTensor } from '../../../inference/triton/tensor.js'
import { installation } from '../../../mesh/installation.js'
import { coded } from '../../contract/backend.js'
import { readInputs, serveTriton } from '../../kit/triton.js'
import { vllm } from './published.js'

const fixtures = join(installation, 'test', 'inference', 'fixtures', 'triton')
const read = (name: string): string => readFileSync(join(fixtures, name), 'utf8')

/** The bytes that a real Triton 2.51.0 sent, and was sent, in `npm run soak -- triton`'s set-up. */
const wire = z
  .object({
    unary: z.record(z.string(), z.string()),
    streams: z.record(z.string(), z.object({ request: z.string(), responses: z.array(z.string()) })),
  })
  .parse(JSON.parse(read('wire.json')))

const descriptorSchema = z.object({
  type: z.object({
    field: z.array(z.object({ name: z.string(), number: z.number(), label: z.string(), type: z.string() })),
  }),
})

describe('the protocol', () => {
  it('has the names, numbers and types of the published definitions', () => {
    const published = new Map(
      read('published-fields.txt')
        .trim()
        .split('\n')
        .map((line) => {
          const [message, field, ...rest] = line.split(' ')
          return [`${message} ${field}`, rest.join(' ')]
        }),
    )
    const ours = loadSync(join(installation, 'inference', 'triton', 'kserve.proto'), { keepCase: true })
    let compared = 0
    for (const [message, definition] of Object.entries(ours)) {
      const { data } = descriptorSchema.safeParse(definition)
      for (const { name, number, label, type } of data?.type.field ?? []) {
        const [theirNumber, theirType = '', repeated] = published.get(`${message} ${name}`)?.split(' ') ?? []
        assert.equal(number, Number(theirNumber), `${message}.${name}`)
        assert.equal(
          type.replace('TYPE_', '').toLowerCase(),
          theirType.startsWith('inference.') ? 'message' : theirType,
          `${message}.${name}`,
        )
        assert.equal(label === 'LABEL_REPEATED', repeated === 'repeated', `${message}.${name}`)
        compared++
      }
    }
    assert.ok(compared > 60)
  })

  it('reads what a real Triton answered', () => {
    const reply = <N extends Unary>(name: N) =>
      replies[name].parse(method(name).responseDeserialize(Buffer.from(wire.unary[name] ?? '', 'base64'))) as z.output<
        (typeof replies)[N]
      >
    assert.deepEqual(reply('ServerLive'), { live: true })
    assert.deepEqual(reply('ModelReady'), { ready: true })
    assert.equal(reply('ServerMetadata').version, '2.51.0')
    assert.ok(reply('ModelMetadata').inputs.some(({ name, datatype }) => name === 'text_input' && datatype === 'BYTES'))
    const { decoupled, parameters } = reply('ModelConfig')
    assert.deepEqual([decoupled, parameters.chat_format], [true, 'llama-nemotron'])
    assert.deepEqual(
      reply('RepositoryIndex')
        .map(({ name, state }) => [name, state])
        .sort(),
      [
        ['faulty', 'READY'],
        ['vllm', 'READY'],
      ],
    )
    assert.equal(reply('ModelStatistics')[0]?.name, 'vllm')
  })

  it('reads the stream of a real Triton to its final response, and the error in one', () => {
    const responses = (name: string) =>
      (wire.streams[name]?.responses ?? []).map((bytes) =>
        streamResponseSchema.parse(method('ModelStreamInfer').responseDeserialize(Buffer.from(bytes, 'base64'))),
      )
    const answer = responses('answer').map(({ infer_response: response }) => response ?? assert.fail())
    const texts = answer.flatMap(({ outputs, raw_output_contents: raw }) =>
      outputs.flatMap(({ name, datatype }, i) =>
        name === 'text_output' ? decodeTensor(name, datatype, raw[i] ?? Buffer.alloc(0)).values : [],
      ),
    )
    assert.equal(texts.join(''), '12 + 7 is 19. 🦞')
    assert.deepEqual(
      answer.map(({ parameters }) => parameters.triton_final_response?.bool_param),
      [...answer.slice(1).map(() => false), true],
    )
    assert.equal(answer.at(-1)?.outputs.length, 0)
    assert.ok(responses('fault').some(({ error_message: error }) => error.includes('the model broke down')))
  })

  it('asks what a real Triton took', async () => {
    const recorded = method('ModelStreamInfer').requestDeserialize(
      Buffer.from(wire.streams.answer?.request ?? '', 'base64'),
    )
    const server = await serveTriton([
      {
        name: 'vllm',
        ...vllm,
        parameters: { chat_format: 'llama-nemotron' },
        answer: async function* () {
          yield { text_output: '19' }
        },
      },
    ])
    const backend = await openTriton({ url: server.url })
    await collect(
      backend.generate({ messages: [{ role: 'user', content: '12 + 7' }], maxTokens: 64, temperature: 0, seed: 7 }),
    )
    await backend.dispose()
    server.close()
    assert.deepEqual(server.asked[0]?.inputs, readInputs(recorded as InferRequest))
  })
})

describe('a tensor', () => {
  it('is little-endian, and text has its length before it', () => {
    assert.deepEqual(encodeTensor('BYTES', ['é', '']).raw, Buffer.from([2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0]))
    assert.deepEqual(encodeTensor('INT32', -2).raw, Buffer.from([0xfe, 0xff, 0xff, 0xff]))
    assert.deepEqual(encodeTensor('UINT64', 0xffffffff).raw, Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]))
    assert.deepEqual(encodeTensor('BOOL', true).raw, Buffer.from([1]))
    assert.deepEqual(encodeTensor('FP32', 0.5).raw, Buffer.from([0, 0, 0, 0x3f]))
  })

  it('comes back as it was', () => {
    for (const [datatype, value] of [
      ['BYTES', 'naïve 🦞\n'],
      ['INT32', -7],
      ['UINT32', 0xffffffff],
      ['INT64', -5],
      ['UINT64', 2 ** 40],
      ['FP32', 0.25],
    ] as const)
      assert.deepEqual(decodeTensor('x', datatype, encodeTensor(datatype, value).raw).values, [value])
  })

  it('counts nothing where it holds no count', () => {
    const said = (value: number) => readPiece([{ name: 'num_output_tokens', values: [value] }]).outputTokens
    assert.deepEqual([7, 0, -1, 0.5, Number.NaN, 2 ** 60].map(said), [7, 0, ...Array(4).fill(undefined)])
  })

  it('is refused when its bytes are not what they say', () => {
    for (const raw of [
      [1, 0, 0],
      [5, 0, 0, 0, 97],
      [255, 255, 255, 255],
      [1, 0, 0, 0, 0xff],
    ])
      assert.throws(() => decodeTensor('x', 'BYTES', Buffer.from(raw)), coded('MODEL_FAILED'))
    assert.throws(() => decodeTensor('x', 'INT32', Buffer.from([1, 2, 3])), coded('MODEL_FAILED'))
    assert.throws(() => encodeTensor('FP16', 1), coded('MODEL_UNSUITED'))
  })
})
