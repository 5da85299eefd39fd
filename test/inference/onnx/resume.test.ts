/** An answer that broke off behind any of its events is gone on with as if nothing had happened. */
import assert from 'node:assert/strict'
import { after, it } from 'node:test'
import { collect, Draft, type GenerateEvent, type GenerateRequest } from '../../../inference/backend.js'
import { shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { coded, countLines } from '../../contract/backend.js'
import { scriptModel } from '../markov.js'
import { llamaModel } from './llama.js'

const opened: OnnxBackend[] = []
after(() => Promise.all(opened.map((backend) => backend.dispose())))

async function open(folder: string): Promise<OnnxBackend> {
  const backend = await OnnxBackend.open({ folder })
  opened.push(backend)
  return backend
}

async function eventsOf(backend: OnnxBackend, request: GenerateRequest): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = []
  for await (const event of backend.generate(request)) events.push(event)
  return events
}

/** Of `done` only what was said is to be the same: what was cached is not. */
const plain = (events: readonly GenerateEvent[]): unknown[] =>
  events.map((event) =>
    event.type === 'done' ? { ...event, usage: event.usage?.outputTokens } : { ...event, ids: undefined },
  )

const random = await llamaModel({ layers: 2, hidden: 64, heads: 4, ffn: 96, vocabulary: 262, context: 512 }, 'rows')
/** Every prompt is as long: its template fills it up, and opens a thought. */
const length = 300
const template = [
  "{%- set text = (tools | tojson if tools else '') -%}",
  `{{- text -}}{%- for i in range(${length} - 7 - (text | length)) -%}.{%- endfor -%}<think>`,
].join('')
const thoughtful = await scriptModel(
  'Grüße, so.</think>9€ <TOOLCALL>[{"name": "count_lines", "arguments": {"path": "a.txt"}}]</TOOLCALL>',
  template,
  length,
)

const cases: [string, string, GenerateRequest][] = [
  [
    'drawn text, bytes of characters and all',
    random,
    { messages: [{ role: 'user', content: 'go on' }], maxTokens: 24, temperature: 1.2, seed: 7 },
  ],
  [
    'the likeliest text, to its last token',
    random,
    { messages: [{ role: 'user', content: 'go on' }], maxTokens: 12, temperature: 0 },
  ],
  [
    'a call that is held to its schema',
    shippedModelFolder,
    {
      messages: [{ role: 'user', content: 'how many lines has notes.txt?' }],
      tools: [countLines],
      maxTokens: 128,
      temperature: 0,
    },
  ],
  [
    'thoughts, text and a call',
    thoughtful,
    { messages: [{ role: 'user', content: 'lines of a.txt?' }], tools: [countLines], maxTokens: 200, temperature: 0 },
  ],
]

for (const [what, folder, request] of cases)
  it(`goes on with ${what}`, async () => {
    const backend = await open(folder)
    const { digest } = backend.model
    assert.ok(digest !== null)
    const whole = await eventsOf(backend, request)
    const draft = new Draft()
    for (const [i, event] of whole.slice(0, -1).entries()) {
      draft.add(event)
      const resume = draft.resume(digest)
      assert.ok(resume)
      assert.deepEqual(
        plain(await eventsOf(backend, { ...request, resume })),
        plain(whole.slice(i + 1)),
        `behind event ${i}`,
      )
    }
  })

it('does not go on with an answer of another model, or one that it would not have begun', async () => {
  const backend = await open(shippedModelFolder)
  const { digest } = backend.model
  assert.ok(digest !== null)
  const request = {
    messages: [{ role: 'user' as const, content: 'how many lines has notes.txt?' }],
    tools: [countLines],
    maxTokens: 64,
    temperature: 0,
  }
  const ask = (resume: GenerateRequest['resume']) => collect(backend.generate({ ...request, resume }))
  await assert.rejects(ask({ digest: 'sha256:0', ids: [1], said: 1 }), coded('MODEL_UNSUITED'))
  await assert.rejects(ask({ digest, ids: [120], said: 1 }), coded('MODEL_UNSUITED'))
})
