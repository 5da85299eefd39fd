/** What the OpenAI API has beside plain chat: forms of answers, text completions, embeddings. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import type { ModelServer } from '../../../inference/openai/server.js'
import { ask, errorOf, eventsOf, openStand, type Reply, type Stand, shipped } from '../stand.js'
import { echo, joinEcho } from './echo.js'

const secret = 'my key is AKIAIOSFODNN7EXAMPLE'
const person = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0 } } }
const schema = { ...person, required: ['name', 'age'], additionalProperties: false }
const asSchema = { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } }

const chatSchema = z.object({ choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]) })
const chunkSchema = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().optional() }) })),
  usage: z.object({ total_tokens: z.int() }).nullish(),
})
const listSchema = z.object({
  data: z.array(z.object({ index: z.int(), embedding: z.union([z.string(), z.array(z.number())]) })),
  usage: z.object({ prompt_tokens: z.int() }),
})

describe('the OpenAI API of the gateway, beside plain chat', () => {
  let stand: Stand
  let server: ModelServer
  before(async () => {
    stand = await openStand()
    server = await joinEcho(stand)
  })
  after(async () => {
    await stand?.close()
    await server?.close()
  })

  const post = (path: string, body: unknown): Promise<Reply> =>
    ask(stand.url, path, { method: 'POST', key: stand.keyOf.developer, body })
  const say = (content: string, more: object) =>
    post('/v1/chat/completions', { model: echo, messages: [{ role: 'user', content }], ...more })

  it('gives out an answer that fits its schema, and tells the server of the model of it', async () => {
    const fits = '{"name": "Ada", "age": 36}'
    const reply = await say(fits, { response_format: asSchema })
    assert.equal(reply.status, 200, reply.text)
    assert.equal(chatSchema.parse(JSON.parse(reply.text)).choices[0].message.content, fits)
    const told = JSON.parse(server.asked.at(-1) ?? '') as { response_format: unknown; messages: { content: string }[] }
    assert.deepEqual(told.response_format, asSchema)
    assert.match(told.messages[0]?.content ?? '', /must fit this JSON Schema: \{"type":"object"/)
  })

  const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  const show = (model: string, url: string) =>
    post('/v1/chat/completions', {
      model,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url } },
          ],
        },
      ],
    })

  it('shows an image to a model that takes images, as it came', async () => {
    const url = `data:image/png;base64,${pixel}`
    const reply = await show(echo, url)
    assert.equal(reply.status, 200, reply.text)
    const told = JSON.parse(server.asked.at(-1) ?? '') as { messages: { content: unknown }[] }
    assert.deepEqual(told.messages[0]?.content, [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url } },
    ])
    // More than a body without images may be, and than a message in one piece.
    const large = `data:image/jpeg;base64,${'A'.repeat(3 * 1024 * 1024)}`
    assert.equal((await show(echo, large)).status, 200)
    assert.ok(server.asked.at(-1)?.includes(large))
  })

  it('shows none to a model that takes none, fetches none, and takes nothing else for one', async () => {
    const asked = server.asked.length
    const blind = await show(shipped, `data:image/png;base64,${pixel}`)
    assert.deepEqual([blind.status, errorOf(blind).code], [400, 'MODEL_UNSUITED'], blind.text)
    for (const url of [
      'http://127.0.0.1/x.png',
      'data:text/html;base64,AAAA',
      'data:image/png;base64,a b',
      'file:///x',
    ]) {
      const reply = await show(echo, url)
      assert.equal(reply.status, 400, url)
      assert.match(errorOf(reply).message, /must be a data: URL/)
    }
    const long = await say('x'.repeat(1024 * 1024 + 1), {})
    assert.equal(long.status, 413, 'text has no more room than before')
    assert.equal(server.asked.length, asked)
  })

  const unfit: [string, string, object, RegExp][] = [
    ['no JSON', 'Ada, 36', asSchema, /no JSON/],
    ['JSON in a fence', '```json\n{"name":"Ada","age":36}\n```', asSchema, /no JSON/],
    ['a value of another type', '{"name": "Ada", "age": "36"}', asSchema, /age/],
    ['one property too few', '{"name": "Ada"}', asSchema, /age/],
    ['one too many', '{"name": "Ada", "age": 1, "x": 1}', asSchema, /"x"/],
    ['an array instead of an object', '[1]', { type: 'json_object' }, /the whole/],
    ['what was cut off', '{"name": "Ada", "age": 36}', { ...asSchema, cut: true }, /cut off/],
  ]
  for (const [what, text, { cut, ...response_format }, why] of unfit as [string, string, { cut?: true }, RegExp][])
    it(`never gives out ${what}, whole or streamed`, async () => {
      const more = { response_format, ...(cut ? { max_tokens: 2 } : {}) }
      for (const stream of [false, true]) {
        const reply = await say(text, { ...more, stream })
        assert.equal(reply.status, 502, reply.text)
        assert.equal(errorOf(reply).code, 'MODEL_FAILED')
        assert.match(errorOf(reply).message, why)
      }
    })

  it('streams what fits once it is whole, with the usage', async () => {
    const fits = '{"name": "Ada", "age": 36}'
    const reply = await say(fits, { response_format: asSchema, stream: true, stream_options: { include_usage: true } })
    const chunks = eventsOf(reply).map((event) => chunkSchema.parse(event))
    const pieces = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''))
    assert.deepEqual(
      pieces.filter((piece) => piece !== ''),
      [fits],
    )
    assert.ok((chunks.at(-1)?.usage?.total_tokens ?? 0) > 0)
  })

  it('refuses a schema that it could not check whole', async () => {
    for (const word of ['pattern', 'patternProperties', 'format', 'not', 'if', 'dependentRequired', 'madeUp']) {
      const schema = { type: 'object', properties: { a: { type: 'string', [word]: {} } } }
      const reply = await say('{}', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })
      assert.equal(reply.status, 400, `${word}: ${reply.text}`)
      assert.match(errorOf(reply).message, new RegExp(word))
    }
  })

  it('refuses one that would take too long to check, before a model is asked', async () => {
    const level = (at: number) => [`a${at}`, { anyOf: Array(2).fill({ $ref: `#/$defs/a${at + 1}` }) }]
    const schema = { $ref: '#/$defs/a0', $defs: { ...Object.fromEntries([...Array(21).keys()].map(level)), a21: {} } }
    const asked = server.asked.length
    const reply = await say('{}', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })
    assert.equal(reply.status, 400, reply.text)
    assert.match(errorOf(reply).message, /held to more than 500 schemas/)
    const body = JSON.stringify({ model: echo, messages: [{ role: 'user', content: '{}' }], response_format: asSchema })
    const deep = body.replace('"integer"', `"integer","items":${'{"items":'.repeat(9000)}{}${'}'.repeat(9000)}`)
    const refused = await post('/v1/chat/completions', deep)
    assert.equal(refused.status, 400, refused.text)
    assert.match(errorOf(refused).message, /nested deeper than 64/)
    assert.equal(server.asked.length, asked)
  })

  it('completes texts, whole and streamed', async () => {
    const asked = { model: shipped, prompt: '12 + 7', temperature: 0, max_tokens: 64 }
    const whole = await post('/v1/completions', asked)
    assert.equal(whole.status, 200, whole.text)
    const { id, object, choices, usage } = JSON.parse(whole.text)
    assert.match(id, /^cmpl-/)
    assert.equal(object, 'text_completion')
    assert.equal(choices[0].finish_reason, 'stop')
    assert.ok(usage.total_tokens > 0)
    const streamed = await post('/v1/completions', { ...asked, stream: true, stream_options: { include_usage: true } })
    const chunks = eventsOf(streamed) as { choices: { text: string }[]; usage: { total_tokens: number } | null }[]
    assert.equal(chunks.flatMap((chunk) => chunk.choices.map(({ text }) => text)).join(''), choices[0].text)
    assert.deepEqual(chunks.at(-1)?.usage, usage)
    for (const more of [{ n: 2 }, { echo: true }, { logprobs: 1 }, { prompt: ['a', 'b'] }])
      assert.equal((await post('/v1/completions', { ...asked, ...more })).status, 400)
  })

  it('ends an answer before the first of the words that it was given, however the stream is cut', async () => {
    for (const [stop, text] of [
      ['two thr', 'one '],
      [['four', 'three '], 'one two '],
      ['e fourth', 'one two three four'],
    ] as const)
      for (const stream of [false, true]) {
        const reply = await say('one two three four', { stop, stream })
        const content = stream
          ? eventsOf(reply)
              .flatMap((event) => chunkSchema.parse(event).choices.map(({ delta }) => delta.content ?? ''))
              .join('')
          : chatSchema.parse(JSON.parse(reply.text)).choices[0].message.content
        assert.equal(content, text)
      }
  })

  it('makes embeddings in the order of the texts, as numbers and packed', async () => {
    const input = ['four', 'of', 'eleven chars']
    const asked = { model: echo, input }
    const plain = listSchema.parse(JSON.parse((await post('/v1/embeddings', asked)).text))
    assert.deepEqual(
      plain.data.map(({ embedding }) => embedding),
      input.map(({ length }) => [length, 0.25]),
    )
    assert.equal(plain.usage.prompt_tokens, 3)
    const packed = listSchema.parse(
      JSON.parse((await post('/v1/embeddings', { ...asked, encoding_format: 'base64' })).text),
    )
    const bytes = Buffer.from(String(packed.data[1]?.embedding), 'base64')
    assert.deepEqual([bytes.readFloatLE(0), bytes.readFloatLE(4)], [2, 0.25])
  })

  it('says so where a model makes no embeddings', async () => {
    for (const model of [shipped, 'nobody']) {
      const reply = await post('/v1/embeddings', { model, input: 'a' })
      assert.equal(reply.status, 404)
      assert.match(errorOf(reply).message, /makes embeddings in this mesh\. These do: echo\./)
    }
  })

  it('says so where the server of a model says that it makes none, and tells that from a text that it cannot take', async () => {
    for (const [said, status, code, words] of [
      [404, 404, 'NOT_FOUND', /^echo makes no embeddings\. .* 404: not with this one\. None does\./],
      [501, 404, 'NOT_FOUND', /^echo makes no embeddings\. /],
      [400, 400, 'MODEL_UNSUITED', /answers 400: not with this one/],
    ] as const) {
      const reply = await post('/v1/embeddings', { model: echo, input: `refuse ${said}` })
      assert.deepEqual([reply.status, errorOf(reply).code], [status, code], reply.text)
      assert.match(errorOf(reply).message, words)
    }
  })

  it('has the privacy router read texts, schemas and prompts before a model sees them', async () => {
    await post('/v1/embeddings', { model: echo, input: ['plain', secret] })
    await post('/v1/completions', { model: echo, prompt: secret })
    const hidden = { type: 'object', properties: { a: { const: secret } } }
    await say('{}', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: hidden } } })
    const { events } = JSON.parse(
      (await ask(stand.url, '/v1/audit?kind=route.decided&limit=3', { key: stand.keyOf.auditor })).text,
    ) as { events: { facts: { label: string } }[] }
    assert.deepEqual(
      events.map(({ facts }) => facts.label),
      ['RESTRICTED', 'RESTRICTED', 'RESTRICTED'],
    )
  })
})
