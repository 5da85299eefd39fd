import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Answer, collect, type GenerateRequest } from '../../../inference/backend.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { coded, countLines, sum } from '../../contract/backend.js'
import { scriptModel } from '../markov.js'

/** Every prompt is as long: what the template writes is filled up with dots. */
const length = 400

/** In the manner of Nemotron's templates: shows tools, opens a thought unless that was switched off. */
const template = [
  "{%- set text = (tools | tojson if tools else '') + messages[-1].content -%}",
  "{%- set ending = '<think></think>' if enable_thinking is defined and not enable_thinking else '<think>' -%}",
  '{{- text -}}',
  `{%- for i in range(${length} - (text | length) - (ending | length)) -%}.{%- endfor -%}`,
  '{{- ending -}}',
].join('')

async function answer(says: string, request: Partial<GenerateRequest> = {}): Promise<Answer> {
  const backend = await OnnxBackend.open({ folder: await scriptModel(says, template, length) })
  try {
    return await collect(backend.generate({ ...sum, maxTokens: 300, ...request }))
  } finally {
    await backend.dispose()
  }
}

const call = { name: 'count_lines', arguments: { path: 'notes.txt' } }
const question: Partial<GenerateRequest> = {
  messages: [{ role: 'user', content: 'lines of notes.txt?' }],
  tools: [countLines],
}

describe('a model with its own chat template on onnxruntime', () => {
  it('has its thoughts told apart, where its prompt opens one', async () => {
    const { thought, text, reason } = await answer('Twelve and seven.</think>\n\n19')
    assert.deepEqual([thought, text, reason], ['Twelve and seven.', '19', 'stop'])
  })

  it('is told not to think', async () => {
    const { thought, text } = await answer('19', { thinking: false })
    assert.deepEqual([thought, text], ['', '19'])
  })

  it('is held to a bound on its thought: the mark is written for it, and the answer follows', async () => {
    // The script goes by places: the mark that is put in stands where it would have thought on.
    const says = 'Twelve and seven, and so on 19'
    const { thought, text, usage } = await answer(says, { thoughtTokens: 20 })
    assert.deepEqual([thought, text, usage?.outputTokens], ['Twelve and seven, an', '19', 31])
    assert.deepEqual((await answer('19', { thinking: false, thoughtTokens: 0 })).text, '19')
  })

  for (const [form, written] of [
    ['a list of JSON', '<TOOLCALL>[{"name": "count_lines", "arguments": {"path": "notes.txt"}}]</TOOLCALL>'],
    [
      'XML',
      '<tool_call>\n<function=count_lines>\n<parameter=path>\nnotes.txt\n</parameter>\n</function>\n</tool_call>',
    ],
  ] as const)
    it(`calls tools by ${form}`, async () => {
      const { calls, reason, thought, text } = await answer(`One call.</think>${written}`, question)
      assert.deepEqual([calls, reason, thought, text], [[call], 'call', 'One call.', ''])
    })

  it('is refused a call of what was not offered, and one that is cut off', async () => {
    await assert.rejects(
      answer('</think><TOOLCALL>[{"name": "rm", "arguments": {}}]</TOOLCALL>', question),
      coded('MODEL_FAILED'),
    )
    await assert.rejects(answer('</think><TOOLCALL>[{"name": "count_lines"', question), coded('MODEL_FAILED'))
    const whole = '</think><TOOLCALL>[{"name": "count_lines", "arguments": {"path": "notes.txt"}}]</TOOLCALL>'
    await assert.rejects(answer(whole, { ...question, maxTokens: 30 }), coded('MODEL_FAILED'))
  })
})
