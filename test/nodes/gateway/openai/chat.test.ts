/** Chat completions over real HTTP, a real broker and real models. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { collect } from '../../../../inference/backend.js'
import { offeredTools } from '../../../../nodes/agents/tools.js'
import { parseChat } from '../../../../nodes/gateway/openai/chat.js'
import { eventually } from '../../../kit/eventually.js'
import { ask, cloud, endless, errorOf, eventsOf, openStand, type Reply, type Stand, shipped } from '../stand.js'

const callSchema = z.object({
  id: z.string().min(1),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})
const usageSchema = z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() })
const completionSchema = z.object({
  id: z.string().startsWith('chatcmpl-'),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.tuple([
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        tool_calls: z.array(callSchema).optional(),
      }),
      finish_reason: z.string(),
    }),
  ]),
  usage: usageSchema,
})
const chunkSchema = z.object({
  id: z.string().startsWith('chatcmpl-'),
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      delta: z.object({
        role: z.string().optional(),
        content: z.string().optional(),
        tool_calls: z.array(callSchema.extend({ index: z.int() })).optional(),
      }),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: usageSchema.nullish(),
})

const tools = offeredTools.map((tool) => ({ type: 'function', function: tool }))
const sum = { model: shipped, messages: [{ role: 'user', content: '12 + 7' }], temperature: 0 }
const count = { ...sum, messages: [{ role: 'user', content: 'how many lines has notes.txt?' }], tools }

it('a chat completion says whether a model is to think, and for how long, in the words of vLLM and OpenAI', () => {
  const asked = (more: object) => {
    const { thinking, thoughtTokens } = parseChat({ ...sum, ...more }).question
    return [thinking, thoughtTokens]
  }
  assert.deepEqual(asked({}), [undefined, undefined])
  assert.deepEqual(asked({ reasoning_effort: 'none' }), [false, undefined])
  assert.deepEqual(asked({ chat_template_kwargs: { enable_thinking: true }, thinking_token_budget: 9 }), [true, 9])
  // How hard it thinks cannot be said: that is refused, not ignored.
  assert.throws(() => asked({ reasoning_effort: 'high' }))
})

describe('the chat completions of the gateway', () => {
  let stand: Stand
  before(async () => {
    stand = await openStand()
  })
  after(() => stand?.close())

  const post = (body: unknown, key = stand.keyOf.developer): Promise<Reply> =>
    ask(stand.url, '/v1/chat/completions', { method: 'POST', key, body })
  const complete = async (body: unknown) => {
    const reply = await post(body)
    assert.equal(reply.status, 200, reply.text)
    return completionSchema.parse(JSON.parse(reply.text))
  }

  it('give the answer of the model that was named, and what it used', async () => {
    const { model, choices, usage } = await complete(sum)
    assert.equal(model, shipped)
    const said = await collect(
      stand.tiny.generate({ messages: [{ role: 'user', content: '12 + 7' }], maxTokens: 64, temperature: 0 }),
    )
    assert.equal(choices[0].message.content, said.text)
    assert.notEqual(said.text, '')
    assert.equal(choices[0].finish_reason, 'stop')
    assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0)
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
  })

  it('give the same answer in pieces', async () => {
    const reply = await post({ ...sum, stream: true, stream_options: { include_usage: true } })
    assert.match(reply.headers['content-type'] ?? '', /^text\/event-stream/)
    const chunks = eventsOf(reply).map((event) => chunkSchema.parse(event))
    const said = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
    const whole = await complete(sum)
    assert.equal(said, whole.choices[0].message.content)
    assert.ok(chunks.length > 3)
    assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant')
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
    assert.deepEqual(chunks.at(-1)?.usage, whole.usage)
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1)
  })

  it('call a tool, whole and in pieces', async () => {
    const { choices } = await complete(count)
    assert.equal(choices[0].finish_reason, 'tool_calls')
    assert.equal(choices[0].message.content, null)
    const [call] = choices[0].message.tool_calls ?? []
    assert.deepEqual(
      [call?.function.name, JSON.parse(call?.function.arguments ?? '')],
      ['count_lines', { path: 'notes.txt' }],
    )
    const chunks = eventsOf(await post({ ...count, stream: true })).map((event) => chunkSchema.parse(event))
    const [streamed] = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? [])
    assert.deepEqual(streamed?.function, call?.function)
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'tool_calls')
    const chosen = await complete({ ...count, tool_choice: { type: 'function', function: { name: 'count_lines' } } })
    assert.equal(chosen.choices[0].message.tool_calls?.[0]?.function.name, 'count_lines')
  })

  it('take what an agent loop sends: parts, past calls, answers of tools', async () => {
    await complete({
      ...sum,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: [{ type: 'text', text: 'lines of a.txt?' }] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'count_lines', arguments: '{"path":"a.txt"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: '2 lines' },
        { role: 'user', content: '12 + 7' },
      ],
    })
  })

  it('end at the most tokens that were asked for', async () => {
    const { choices, usage } = await complete({ ...sum, model: endless, max_tokens: 5 })
    assert.equal(choices[0].finish_reason, 'length')
    assert.equal(usage.completion_tokens, 5)
  })

  it('end when the client goes away, streamed or not: the only slot is free again', async () => {
    for (const stream of [true, false]) {
      const call = httpRequest(`${stand.url}/v1/chat/completions`, {
        method: 'POST',
        agent: false,
        headers: { authorization: `Bearer ${stand.keyOf.developer}`, 'content-type': 'application/json' },
      })
      call.on('error', () => undefined)
      const begun = new Promise<void>((resolve) => {
        call.once('response', (response) => response.once('data', () => resolve()))
      })
      const before = await answered()
      call.end(JSON.stringify({ ...sum, model: endless, stream, max_tokens: 100_000 }))
      if (stream) await begun
      else await eventually(() => busy())
      call.destroy()
      await eventually(async () => assert.equal(await answered(), before + 1))
      const { usage } = await complete({ ...sum, model: endless, max_tokens: 3 })
      assert.equal(usage.completion_tokens, 3)
    }
  })

  /** How many requests were given up by their clients, as the metrics have it. */
  async function answered(): Promise<number> {
    const { text } = await ask(stand.url, '/metrics', { key: stand.keyOf.viewer })
    return Number(/requests_total\{route="POST \/v1\/chat\/completions",status="499"\} (\d+)/.exec(text)?.[1] ?? 0)
  }

  /** Rejects as long as the only slot of the endless model is free: another question would be answered. */
  async function busy(): Promise<void> {
    const impatient = await stand.open({ answerMs: 300 })
    try {
      const reply = await ask(impatient.url, '/v1/chat/completions', {
        method: 'POST',
        key: stand.keyOf.operator,
        body: { ...sum, model: endless, max_tokens: 1 },
      })
      assert.notEqual(reply.status, 200)
    } finally {
      await impatient.close()
    }
  }

  it('never send a prompt out of the mesh', async () => {
    const reply = await post({ ...sum, model: cloud })
    assert.equal(reply.status, 403, reply.text)
    assert.match(errorOf(reply).message, /may not leave the mesh/)
  })

  it('say what a request asks for that cannot be had', async () => {
    const cases: [object, number, RegExp][] = [
      [{ ...sum, model: 'gpt-4o' }, 404, /serves no model "gpt-4o".*clawmesh-tiny/],
      [{ ...sum, n: 2 }, 400, /: n: /],
      [{ ...sum, top_p: 0.5 }, 400, /: top_p: /],
      [{ ...sum, response_format: { type: 'grammar' } }, 400, /response_format/],
      [{ ...sum, messages: [] }, 400, /messages/],
      [
        { ...sum, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
        400,
        /content/,
      ],
      [{ ...sum, surprise: 1 }, 400, /surprise/],
      [{ ...count, tools: [{ type: 'function', function: { name: 'fly' } }] }, 400, /does not know: fly/],
      [{ ...count, tool_choice: { type: 'function', function: { name: 'fly' } } }, 400, /not offered/],
      [{ ...sum, messages: [{ role: 'user', content: 'word '.repeat(5000) }] }, 400, /./],
    ]
    for (const [body, status, pattern] of cases) {
      for (const stream of [false, true]) {
        const reply = await post({ ...body, stream })
        assert.equal(reply.status, status, reply.text)
        assert.match(errorOf(reply).message, pattern)
      }
    }
  })

  it('are counted', async () => {
    await complete(sum)
    const { text } = await ask(stand.url, '/metrics', { key: stand.keyOf.viewer })
    const figure = (name: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(name))
          ?.split(' ')
          .at(-1),
      )
    assert.ok(figure('clawmesh_gateway_requests_total{route="POST /v1/chat/completions",status="200"}') >= 1)
    assert.ok(figure('clawmesh_gateway_tokens_total{kind="output"}') >= 1)
    assert.ok(figure('clawmesh_gateway_errors_total{route="POST /v1/chat/completions",status="400"}') >= 1)
    assert.equal(figure('clawmesh_nodes '), 6)
    const bucket = (bound: string) =>
      figure(`clawmesh_gateway_request_seconds_bucket{route="POST /v1/chat/completions",le="${bound}"}`)
    assert.ok(bucket('0.01') <= bucket('1') && bucket('1') <= bucket('+Inf') && bucket('+Inf') > 0)
  })

  /** An endless stream that has begun; its text when the other side ended it. */
  async function beginEndless(url: string): Promise<{ ended: Promise<string> }> {
    const call = httpRequest(`${url}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${stand.keyOf.developer}`, 'content-type': 'application/json' },
    })
    call.end(JSON.stringify({ ...sum, model: endless, stream: true, max_tokens: 100_000 }))
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    let text = ''
    response.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    response.on('error', () => undefined)
    await once(response, 'data')
    // Cut off in the middle is an end as well.
    const ended = new Promise<string>((resolve) => void response.once('close', () => resolve(text)))
    return { ended }
  }

  it('end with their gateway: nothing goes on for nobody', async () => {
    const gateway = await stand.open({})
    const { ended } = await beginEndless(gateway.url)
    await gateway.close()
    assert.ok(!(await ended).includes('[DONE]'))
    assert.equal((await complete({ ...sum, model: endless, max_tokens: 3 })).usage.completion_tokens, 3)
  })

  it('say so in the stream when the node of the model goes, and are not begun again', async () => {
    const { ended } = await beginEndless(stand.url)
    await stand.endlessNode.close()
    const events = (await ended).split('\n\n').filter((line) => line !== '')
    assert.ok(!events.includes('data: [DONE]'))
    assert.match(events.at(-1) ?? '', /^data: \{"error":\{"message":".+"code":"(UNREACHABLE|CANCELLED|ACTOR_MOVED)"/)
    assert.equal(events.filter((line) => line.includes('"role":"assistant"')).length, 1)
    await eventually(async () => assert.equal((await post({ ...sum, model: endless })).status, 404))
  })
})
