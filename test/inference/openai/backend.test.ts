import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { after, describe, it } from 'node:test'
import { collect, type GenerateRequest } from '../../../inference/backend.js'
import { OpenAiBackend } from '../../../inference/openai/backend.js'
import { Shelf } from '../../../inference/shelf.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { backendContract, coded, countLines, sum } from '../../contract/backend.js'
import { eventually } from '../../kit/eventually.js'
import { type Answer, type ModelServer, recorded, serve, stream } from './server.js'

const kinds = ['ollama', 'vllm', 'llama.cpp'] as const
const opened: { close(): Promise<void> }[] = []
after(() => Promise.all(opened.map((server) => server.close())))

async function server(completion: Answer, models?: string): Promise<ModelServer> {
  const running = await serve(models ?? (await recorded('vllm/models.json')), completion)
  opened.push(running)
  return running
}

/** A request to a server that answers so. */
async function ask(completion: Answer, deadlines = { silence: 60_000, total: 120_000 }, tools = [countLines]) {
  const { url } = await server(completion)
  const backend = await OpenAiBackend.open({ url, deadlines })
  const messages = [{ role: 'user' as const, content: 'how many lines has notes.txt?' }]
  return collect(backend.generate({ messages, tools, maxTokens: 64, temperature: 0 }))
}

const piece = 'data: {"choices":[{"index":0,"delta":{"content":"on and "},"finish_reason":null}]}\n\n'

/** One slot, as a small server has: whoever comes meanwhile gets 503. The slot is free once the connection is gone. */
class OneSlot {
  private free: Promise<unknown> = Promise.resolve()
  private taken = false

  readonly answer: Answer = async (response, body) => {
    if (this.taken) return void response.writeHead(503).end('{"error":{"code":503,"message":"no slot available"}}')
    const { max_tokens: limit } = JSON.parse(body) as { max_tokens: number }
    this.taken = true
    this.free = once(response, 'close').then(() => {
      this.taken = false
    })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let sent = 0; sent < limit && this.taken; sent++) {
      response.write(piece)
      await new Promise(setImmediate)
    }
    response.end('data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\ndata: [DONE]\n\n')
  }

  idle = (): Promise<void> => this.free.then(() => {})
}

/** What each says of a prompt that is longer than its context. Ollama says nothing: it reads the end of it. */
const tooLong: Partial<Record<(typeof kinds)[number], string>> = {
  vllm: `{"object":"error","message":"This model's maximum context length is 2048 tokens. However, you requested 10064 tokens"}`,
  'llama.cpp': `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`,
}

const narrow =
  (kind: (typeof kinds)[number]): Answer =>
  (response, body) => {
    const { messages, max_tokens: limit } = JSON.parse(body) as { messages: [{ content: string }]; max_tokens: number }
    const refusal = messages[0].content.length > 2048 ? tooLong[kind] : undefined
    if (refusal) return void response.writeHead(400).end(refusal)
    return stream(
      `${piece.repeat(limit)}data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\ndata: [DONE]\n\n`,
    )(response, body)
  }

for (const kind of kinds) {
  const slot = new OneSlot()
  backendContract(`A server with the wire format of ${kind}`, {
    open: async () => {
      const [models, text, tools] = await Promise.all(
        ['models.json', 'text.sse', 'tools.sse'].map((file) => recorded(`${kind}/${file}`)),
      )
      const { url } = await server(
        (response, body) => stream((body.includes('"tools"') ? tools : text) ?? '', 7)(response, body),
        models,
      )
      return OpenAiBackend.open({ url })
    },
    openEndless: async () => OpenAiBackend.open({ url: (await server(slot.answer)).url }),
    ...(tooLong[kind] ? { openNarrow: async () => OpenAiBackend.open({ url: (await server(narrow(kind))).url }) } : {}),
    idle: slot.idle,
  })
}

describe('a server with the wire format of', () => {
  for (const kind of kinds)
    it(`${kind} is known by its list of models, and its text arrives whole however it is cut`, async () => {
      const models = await recorded(`${kind}/models.json`)
      const text = await recorded(`${kind}/text.sse`)
      for (const size of [1, 3, 64, 100_000]) {
        const backend = await OpenAiBackend.open({ url: (await server(stream(text, size), models)).url })
        assert.equal(backend.model.backend, `openai:${kind}`)
        const answer = await collect(backend.generate(sum))
        assert.equal(answer.text, 'Guten Tag, Jürgen 👋')
        assert.deepEqual([answer.reason, answer.usage === null], ['stop', false])
      }
    })
})

describe('the completion that a server is asked for', () => {
  it('offers tools as functions, without the words that are ours alone', async () => {
    const running = await server(stream(await recorded('vllm/tools.sse')))
    const backend = await OpenAiBackend.open({ url: running.url })
    const messages = [{ role: 'user' as const, content: 'lines of notes.txt' }]
    await collect(backend.generate({ messages, tools: [countLines], maxTokens: 9, temperature: 0, seed: 4 }))
    const body = JSON.parse(running.asked[0] ?? '') as Record<string, unknown>
    assert.deepEqual(body.tools, [
      {
        type: 'function',
        function: {
          name: 'count_lines',
          description: 'The number of lines of a file',
          parameters: {
            type: 'object',
            properties: { path: { type: 'string', description: 'The file' } },
            required: ['path'],
          },
        },
      },
    ])
    assert.deepEqual([body.max_tokens, body.seed, body.stream], [9, 4, true])
  })
})

describe('what a server tells of its model’s thoughts', () => {
  const chunks = (...deltas: object[]): string =>
    [...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })), end]
      .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
      .join('')
  const end = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
  const call = { name: 'count_lines', arguments: { path: 'notes.txt' } }

  for (const [where, deltas] of [
    ['reasoning_content', [{ reasoning_content: 'One ' }, { reasoning_content: 'file.' }, { content: 'It is one.' }]],
    ['reasoning', [{ reasoning: 'One ' }, { reasoning: 'file.', content: '' }, { content: 'It is one.' }]],
    [
      'the text',
      [{ content: '<thi' }, { content: 'nk>One file.</th' }, { content: 'ink>\n\nIt is' }, { content: ' one.' }],
    ],
  ] as [string, object[]][])
    it(`is no part of the answer, where it stands in ${where}`, async () => {
      const { thought, text, calls } = await ask(stream(chunks(...deltas), 9))
      assert.deepEqual([thought, text, calls], ['One file.', 'It is one.', []])
    })

  for (const [where, piece] of [
    ['a field of its own', { reasoning_content: 'hm ' }],
    ['the text', { content: 'hm ' }],
  ] as const)
    it(`that goes on beyond the bound that the server was given ends the answer, in ${where}`, async () => {
      const [first, last] = where === 'the text' ? [[{ content: '<think>' }], [{ content: '</think>' }]] : [[], []]
      const thoughts = (count: number) => [...first, ...Array.from({ length: count }, () => piece), ...last]
      const asked = async (count: number, more: Partial<GenerateRequest>) => {
        const { url } = await server(stream(chunks(...thoughts(count), { content: '42' })))
        return collect((await OpenAiBackend.open({ url })).generate({ ...sum, ...more }))
      }
      const { thought, text } = await asked(20, { thoughtTokens: 5 })
      assert.deepEqual([thought.trim().split(' ').length, text], [20, '42'], 'what ends a thought may take a little')
      for (const more of [{}, { thoughtTokens: 5, thinking: false }])
        assert.equal((await asked(40, more)).text, '42', 'nothing bounds it')
      await assert.rejects(asked(40, { thoughtTokens: 5 }), (thrown) => {
        return coded('MODEL_FAILED')(thrown) && /bound of 5 tokens/.test(String(thrown))
      })
    })

  it('is left as it is, and so are calls: a server without a parser puts them into the text', async () => {
    const written =
      '<tool_call>\n<function=count_lines>\n<parameter=path>\nnotes.txt\n</parameter>\n</function>\n</tool_call>'
    for (const content of [written, `<TOOLCALL>[${JSON.stringify(call)}]</TOOLCALL>`]) {
      const { calls, text, reason } = await ask(stream(chunks({ reasoning: 'One.' }, { content }), 9))
      assert.deepEqual([calls, text, reason], [[call], '', 'call'])
    }
    await assert.rejects(
      ask(stream(chunks({ content: '<TOOLCALL>[{"name":"rm","arguments":{}}]</TOOLCALL>' }))),
      coded('MODEL_FAILED'),
    )
  })

  it('is asked for, left out or bounded as its server and its family have it', async () => {
    const asked = async (owner: string, id: string, more: Partial<GenerateRequest>) => {
      const models = JSON.stringify({ data: [{ id, owned_by: owner }] })
      const running = await server(stream(chunks({ content: '19' })), models)
      await collect((await OpenAiBackend.open({ url: running.url })).generate({ ...sum, ...more }))
      const { messages, chat_template_kwargs, reasoning_effort, thinking_token_budget } = JSON.parse(
        running.asked[0] ?? '',
      )
      const [{ role, content }] = messages
      const first = role === 'system' ? content : null
      return { first, chat_template_kwargs, reasoning_effort, thinking_token_budget }
    }
    const nothing = {
      first: null,
      chat_template_kwargs: undefined,
      reasoning_effort: undefined,
      thinking_token_budget: undefined,
    }
    const off = { thinking: false }
    assert.deepEqual(await asked('vllm', 'qwen', {}), nothing)
    assert.deepEqual(await asked('vllm', 'qwen', off), { ...nothing, chat_template_kwargs: { enable_thinking: false } })
    assert.deepEqual(await asked('vllm', 'qwen', { thoughtTokens: 7 }), { ...nothing, thinking_token_budget: 7 })
    assert.deepEqual(await asked('library', 'NVIDIA-Nemotron-3-Nano-4B', off), { ...nothing, reasoning_effort: 'none' })
    const llama = 'nvidia/Llama-3.1-Nemotron-Nano-8B-v1'
    assert.deepEqual(await asked('vllm', llama, { thinking: true }), { ...nothing, first: 'detailed thinking on' })
    assert.deepEqual(await asked('vllm', 'nvidia/NVIDIA-Nemotron-Nano-9B-v2', off), { ...nothing, first: '/no_think' })
    await assert.rejects(asked('llamacpp', 'qwen', { thoughtTokens: 7 }), coded('MODEL_UNSUITED'))
  })
})

describe('answers side by side at a server', () => {
  const openOf = async (owner: string, props?: string) => {
    const models = JSON.stringify({ data: [{ id: 'qwen', owned_by: owner, meta: { n_ctx_train: 131_072 } }] })
    const running = await serve(models, stream(''), undefined, props)
    opened.push(running)
    return OpenAiBackend.open({ url: running.url })
  }

  it('are as many as llama.cpp says that it was started for, each with the context that it has left for it', async () => {
    const { slots, model } = await openOf('llamacpp', '{"total_slots":4,"default_generation_settings":{"n_ctx":8192}}')
    assert.deepEqual([slots, model.context], [4, 8192])
  })

  it('are as many as can be made sense of, whatever else it says', async () => {
    const big = '{"total_slots":1000000000,"default_generation_settings":{"n_ctx":"all"}}'
    for (const [props, expected] of [
      [big, [256, 131_072]],
      ['{"total_slots":3,"default_generation_settings":{"n_ctx":0}}', [3, 131_072]],
      ['{"total_slots":3,"default_generation_settings":null}', [3, 131_072]],
      ['{"total_slots":-4,"default_generation_settings":{"n_ctx":8192}}', [undefined, 8192]],
      ['{"total_slots":1e400,"default_generation_settings":{"n_ctx":8192}}', [undefined, 8192]],
    ] as const) {
      const { slots, model } = await openOf('llamacpp', props)
      assert.deepEqual([slots, model.context], expected, props)
    }
  })

  it('are one where it does not say, and many where memory is all that bounds them', async () => {
    for (const props of [undefined, '{}', '{"total_slots":"many"}', 'Not Found']) {
      const { slots, model } = await openOf('llamacpp', props)
      assert.deepEqual([slots, model.context], [undefined, 131_072], props)
    }
    assert.equal((await openOf('vllm')).slots, 64)
    assert.equal((await openOf('library')).slots, undefined)
  })

  it('and those that wait for one are bounded: one more is told so at once, and asked of the server once there is room', async () => {
    const held: ServerResponse[] = []
    const running = await server((response) => void held.push(response))
    const backend = await OpenAiBackend.open({ url: running.url, slots: 2, queue: 1 })
    const cancel = new AbortController()
    const waiting = [cancel.signal, undefined, undefined].map((signal) => collect(backend.generate(sum, signal)))
    await eventually(() => assert.equal(held.length, 2))
    await assert.rejects(collect(backend.generate(sum)), coded('MODEL_BUSY'))
    assert.equal(running.asked.length, 2)
    cancel.abort()
    await assert.rejects(waiting[0] ?? Promise.resolve(), coded('CANCELLED'))
    await eventually(() => assert.equal(held.length, 3))
    const next = collect(backend.generate(sum))
    await backend.dispose()
    for (const each of [...waiting.slice(1), next]) await assert.rejects(each, coded('CANCELLED'))
  })

  it('do not die of the silence of a server that is busy with those before them', async () => {
    let free: Promise<unknown> = Promise.resolve()
    const oneByOne: Answer = (response, body) => {
      const mine = free.then(() => new Promise((resolve) => setTimeout(resolve, 200)))
      free = mine
      return mine.then(() => stream(end)(response, body))
    }
    const end = `${piece}data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`
    const { url } = await server(oneByOne)
    const backend = await OpenAiBackend.open({ url, slots: 1, deadlines: { silence: 1000, total: 5000 } })
    const answers = await Promise.all(Array.from({ length: 8 }, () => collect(backend.generate(sum))))
    assert.equal(answers.length, 8)
  })

  it('come over a connection each: a server may close one that it has answered on, as the next question arrives there', async () => {
    const answered = new WeakSet<object>()
    const end = `${piece}data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`
    const { url } = await server(async (response, body) => {
      const { socket } = response
      if (!socket || answered.has(socket)) return void socket?.destroy()
      answered.add(socket)
      await stream(end)(response, body)
    })
    const backend = await OpenAiBackend.open({ url, slots: 1 })
    const answers = await Promise.all(Array.from({ length: 8 }, () => collect(backend.generate(sum))))
    assert.equal(answers.length, 8)
  })

  it('tell how fast it is with many of them', async () => {
    const text = `${Array.from({ length: 40 }, () => piece).join('')}data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":40}}\n\n`
    const { url } = await server(stream(text, piece.length))
    const shelf = new Shelf({ freeBytes: async () => 1e12 })
    shelf.keep(await OpenAiBackend.open({ url }))
    const many = async (count: number) =>
      Promise.all(Array.from({ length: count }, () => collect(shelf.generate(undefined, sum))))
    for (const count of [1, 1, 4]) await many(count)
    const [offer] = shelf.offers()
    assert.equal(offer?.slots, 64)
    assert.ok((offer?.speed?.batch?.decode ?? 0) > 0, JSON.stringify(offer?.speed))
    await shelf.dispose()
  })
})

describe('what a server gets wrong becomes one clear error', () => {
  const call = (name: string, written: string): string =>
    `data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [{ index: 0, function: { name, arguments: written } }] }, finish_reason: 'tool_calls' }] })}\n\n`
  const refused = (code: number): string => `data: {"error":{"code":${code},"message":"slow down"}}\n\n`
  const wrong: [string, Answer, Parameters<typeof coded>[0]][] = [
    ['a chunk that is not JSON', stream('data: {"choices": [\n\n'), 'MODEL_FAILED'],
    ['a chunk of another shape', stream('data: {"choices": "none"}\n\n'), 'MODEL_FAILED'],
    ['bytes that are not UTF-8', (response) => void response.end(Buffer.from([0x64, 0xff, 0xfe])), 'MODEL_FAILED'],
    ['a stream that ends in mid-answer', stream(piece), 'MODEL_FAILED'],
    ['a page of HTML', stream('<html><body>It works!</body></html>'), 'MODEL_FAILED'],
    [
      'an error inside the stream',
      stream(`${piece}data: {"error":{"code":500,"message":"KV cache is full"}}\n\n`),
      'MODEL_FAILED',
    ],
    [
      'a refusal inside the stream, as vLLM has it',
      stream(
        'data: {"error":{"message":"reasoning_config is not configured","type":"BadRequestError","code":400}}\n\n',
      ),
      'MODEL_UNSUITED',
    ],
    [
      'an error inside the stream whose code is a word',
      stream('data: {"error":{"message":"no more","code":"server_error"}}\n\n'),
      'MODEL_FAILED',
    ],
    ...([429, 503, 400, 401] as const).map((code): (typeof wrong)[number] => [
      `an error ${code} inside the stream, behind a part of the answer`,
      stream(`${piece}${refused(code)}`),
      'MODEL_FAILED',
    ]),
    ...([429, 503] as const).map((code): (typeof wrong)[number] => [
      `an error ${code} inside the stream, before anything else`,
      stream(`data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n${refused(code)}`),
      'MODEL_BUSY',
    ]),
    [
      'an error 429 inside the stream, behind the name of a call',
      stream(
        `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"count_lines"}}]}}]}\n\n${refused(429)}`,
      ),
      'MODEL_FAILED',
    ],
    ['a connection that breaks', (response) => void response.write(piece, () => response.destroy()), 'MODEL_FAILED'],
    ['status 500', (response) => void response.writeHead(500).end('{"error":{"message":"boom"}}'), 'MODEL_FAILED'],
    [
      'status 503 while it loads',
      (response) => void response.writeHead(503).end('{"error":{"message":"Loading model"}}'),
      'MODEL_BUSY',
    ],
    [
      'status 404 for the model',
      (response) => void response.writeHead(404).end('{"error":{"message":"model not found"}}'),
      'MODEL_UNSUITED',
    ],
    [
      'status 400 for the prompt',
      (response) => void response.writeHead(400).end('{"object":"error","message":"too long"}'),
      'MODEL_UNSUITED',
    ],
    ['status 401', (response) => void response.writeHead(401).end(), 'DENIED'],
    ['a redirect', (response) => void response.writeHead(307, { location: 'http://192.0.2.1/' }).end(), 'MODEL_FAILED'],
    ['a call of a tool that was not offered', stream(call('remove_all', '{}')), 'MODEL_FAILED'],
    ['arguments that are not JSON', stream(call('count_lines', '{"path":')), 'MODEL_FAILED'],
    ['arguments that do not fit the schema', stream(call('count_lines', '{"file":"notes.txt"}')), 'MODEL_FAILED'],
    [
      'a copied argument that is not in the request',
      stream(call('count_lines', '{"path":"/etc/passwd"}')),
      'MODEL_FAILED',
    ],
  ]
  for (const [what, answer, code] of wrong) it(what, () => assert.rejects(ask(answer), coded(code)))

  it('answers that have filled the one context that they share: a full server at first, and then one that is told how to mend it', async () => {
    const full = 'data: {"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}\n\n'
    const refusing: Answer = (response) => void response.writeHead(500).end(full.slice('data: '.length))
    for (const answer of [stream(full), refusing]) await assert.rejects(ask(answer), coded('MODEL_BUSY'))
    await assert.rejects(ask(stream(`${piece}${full}`)), (thrown) => {
      return coded('MODEL_FAILED')(thrown) && thrown instanceof ClawmeshError && /--parallel N/.test(thrown.hint)
    })
  })

  it('a long story of the server’s own, of which a beginning is told', async () => {
    const story = '🦞'.repeat(20_000)
    const told: Answer[] = [
      stream(`data: ${JSON.stringify({ error: { message: story, code: 400 } })}\n\n`),
      stream(`data: ${JSON.stringify({ error: story })}\n\n`),
      (response) =>
        void response.writeHead(400).end(JSON.stringify({ object: 'error', message: story.slice(0, 4000) })),
      (response) => void response.writeHead(500).end(story),
    ]
    for (const answer of told)
      await assert.rejects(ask(answer), ({ message }: Error) => {
        assert.ok(message.length < 1100 && message.endsWith('🦞'), `${message.length}`)
        return true
      })
  })

  it('a line without an end', async () => {
    const flood: Answer = async (response) => {
      for (let i = 0; i < 64 && response.writable; i++) {
        response.write('x'.repeat(65_536))
        await new Promise(setImmediate)
      }
    }
    await assert.rejects(ask(flood), coded('MODEL_FAILED'))
  })

  it('silence before the headers', () =>
    assert.rejects(
      ask(() => {}, { silence: 150, total: 60_000 }),
      coded('DEADLINE'),
    ))

  it('silence in the middle', () =>
    assert.rejects(
      ask((response) => void response.write(piece), { silence: 150, total: 60_000 }),
      coded('DEADLINE'),
    ))

  const more = (delta: object): string => `data: ${JSON.stringify({ choices: [{ delta }] })}\n\n`
  const endless: [string, string][] = [
    ['text', more({ content: 'on and on '.repeat(100) })],
    ['a tool call', more({ tool_calls: [{ index: 0, function: { arguments: 'x'.repeat(1000) } }] })],
    ['events without content', more({ role: 'assistant', ignored: 'x'.repeat(1000) })],
    ['comments', `: ${'x'.repeat(1000)}\n\n`],
  ]
  for (const [what, text] of endless)
    it(`a stream of ${what} without end, as fast as it can, is cut off and its connection closed`, async () => {
      let sent = 0
      let isOpen = true
      const flood: Answer = async (response) => {
        response.on('close', () => {
          isOpen = false
        })
        while (isOpen) {
          sent += text.length
          if (!response.write(text)) await Promise.race([once(response, 'drain'), once(response, 'close')])
          // The test's own process reads what it writes.
          await new Promise(setImmediate)
        }
      }
      await assert.rejects(ask(flood), /goes on beyond the 64 tokens/)
      await eventually(() => assert.equal(isOpen, false))
      // What the system holds between the two comes on top.
      assert.ok(sent < 8_000_000, `${sent} bytes were taken`)
    })

  it('an answer that trickles for ever', async () => {
    let gone = false
    const trickle: Answer = async (response) => {
      response.on('close', () => {
        gone = true
      })
      while (!gone) {
        response.write(piece)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    await assert.rejects(ask(trickle, { silence: 60_000, total: 250 }), coded('DEADLINE'))
  })
})

for (const [what, fixture] of [
  ['are calls', undefined],
  ['are words all at once', 'Notes has two lines.'],
] as const)
  it(`a server whose answers ${what} has a speed by the one after its first`, async () => {
    const usage = { prompt_tokens: 212, completion_tokens: 30, total_tokens: 242 }
    const chunks = [
      { choices: [{ index: 0, delta: { content: fixture }, finish_reason: 'stop' }] },
      { choices: [], usage },
    ]
    const words = `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`
    const answer = fixture === undefined ? await recorded('vllm/tools.sse') : words
    const { url } = await server(stream(answer), await recorded('vllm/models.json'))
    const shelf = new Shelf({ freeBytes: async () => 1e12 })
    shelf.keep(await OpenAiBackend.open({ url }))
    const messages = [{ role: 'user' as const, content: 'lines of notes.txt' }]
    const request = { messages, tools: [countLines], maxTokens: 64, temperature: 0 }
    await collect(shelf.generate(undefined, request))
    assert.equal(shelf.offers()[0]?.speed, undefined, 'it may have been loaded for that')
    const begun = performance.now()
    const { usage: used } = await collect(shelf.generate(undefined, request))
    const seconds = (performance.now() - begun) / 1000
    const { decode = 0, prefill = 0 } = shelf.offers()[0]?.speed ?? {}
    const told = used ? used.promptTokens / prefill + used.outputTokens / decode : Number.NaN
    assert.ok(told > 0 && told <= seconds + 1e-6, `${told} s of ${seconds} s`)
    // Neither part of it stands for the whole.
    assert.ok(Math.abs(prefill / decode - 100) < 1e-6, `${prefill}, ${decode}`)
    await shelf.dispose()
  })
