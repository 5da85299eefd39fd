import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { GenerateEvent } from '../../../inference/backend.js'
import { AnswerReader } from '../../../inference/chat/answer.js'
import type { ToolSpec } from '../../../inference/tool.js'
import { coded, countLines } from '../../contract/backend.js'
import { seededRandom, wholeBelow } from '../../kit/random.js'

const search: ToolSpec = {
  name: 'search',
  description: 'Search',
  parameters: {
    type: 'object',
    properties: {
      words: { type: 'string' },
      limit: { type: 'integer' },
      deep: { type: 'boolean' },
      kinds: { type: 'array' },
    },
  },
}
const tools = [countLines, search]
const notes = { name: 'count_lines', arguments: { path: 'notes.txt' } }

interface Whole {
  text: string
  thought: string
  calls: unknown[]
}

/** What the pieces come to, whatever they are. */
function read(pieces: readonly string[], options: ConstructorParameters<typeof AnswerReader>[0] = { tools }): Whole {
  const reader = new AnswerReader(options)
  const whole: Whole = { text: '', thought: '', calls: [] }
  const take = (parts: GenerateEvent[]): void => {
    for (const part of parts) {
      if (part.type === 'token') whole.text += part.text
      if (part.type === 'thought') whole.thought += part.text
      if (part.type === 'call') whole.calls.push(part.call)
    }
  }
  for (const piece of pieces) take(reader.push(piece))
  take(reader.end())
  return whole
}

const answers: [string, string, Whole, boolean?][] = [
  ['plain text', 'Nineteen.\n', { text: 'Nineteen.\n', thought: '', calls: [] }],
  ['a thought of its own', '<think>\n12 and 7.\n</think>\n\n19', { text: '19', thought: '12 and 7.', calls: [] }],
  ['a thought that the prompt opened', '12 and 7.</think>19', { text: '19', thought: '12 and 7.', calls: [] }, true],
  ['a thought without an end', 'hm, <b>', { text: '', thought: 'hm, <b>', calls: [] }, true],
  [
    'calls of the first generations',
    '<think></think><TOOLCALL>[{"name": "count_lines", "arguments": {"path": "notes.txt"}}]</TOOLCALL>',
    { text: '', thought: '', calls: [notes] },
  ],
  [
    'two calls with words before them',
    'I will look.\n<TOOLCALL>[{"name":"count_lines","arguments":{"path":"notes.txt"}}, {"name":"search","arguments":"{\\"words\\":\\"a\\"}"}]</TOOLCALL>',
    { text: 'I will look.', thought: '', calls: [notes, { name: 'search', arguments: { words: 'a' } }] },
  ],
  [
    'calls of Nemotron 3, typed by the schema',
    'Ok.</think>\n<tool_call>\n<function=search>\n<parameter=words>\n12\nlines of </parameter> text\n</parameter>\n<parameter=limit>\n12\n</parameter>\n<parameter=deep>\ntrue\n</parameter>\n<parameter=kinds>\n["a"]\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=count_lines>\n<parameter=path>\nnotes.txt\n</parameter>\n</function>\n</tool_call>',
    {
      text: '',
      thought: 'Ok.',
      calls: [
        { name: 'search', arguments: { words: '12\nlines of </parameter> text', limit: 12, deep: true, kinds: ['a'] } },
        notes,
      ],
    },
    true,
  ],
  [
    'a call as JSON between the marks of Qwen',
    '<tool_call>\n{"name": "count_lines", "arguments": {"path": "notes.txt"}}\n</tool_call>',
    { text: '', thought: '', calls: [notes] },
  ],
  [
    'a call of Nemotron Mini, and words behind it',
    '<toolcall> {"name": "count_lines", "arguments": {"path": "notes.txt"}} </toolcall> Done.',
    { text: 'Done.', thought: '', calls: [notes] },
  ],
  [
    'a call whose argument spells the mark',
    '<TOOLCALL>[{"name":"count_lines","arguments":{"path":"a</TOOLCALL>b"}}]</TOOLCALL>',
    { text: '', thought: '', calls: [{ name: 'count_lines', arguments: { path: 'a</TOOLCALL>b' } }] },
  ],
  [
    'a last call without its closing mark',
    '<TOOLCALL>[{"name": "count_lines", "arguments": {"path": "notes.txt"}}]',
    { text: '', thought: '', calls: [notes] },
  ],
  [
    'what only begins like a mark',
    'if a <t and <TOOL then <th',
    { text: 'if a <t and <TOOL then <th', thought: '', calls: [] },
  ],
  [
    'a mark of thinking in mid-answer',
    'Write <think> in it.',
    { text: 'Write <think> in it.', thought: '', calls: [] },
  ],
  [
    'a call inside a thought',
    '<think>maybe <TOOLCALL>[]</TOOLCALL></think>no',
    { text: 'no', thought: 'maybe <TOOLCALL>[]</TOOLCALL>', calls: [] },
  ],
]

describe('an answer is read', () => {
  for (const [what, written, expected, thinking = false] of answers) {
    it(`with ${what}, as a whole and character by character`, () => {
      assert.deepEqual(read([written], { tools, thinking }), expected)
      assert.deepEqual(read([...written], { tools, thinking }), expected)
    })
  }

  it('to the same end however it is cut', () => {
    const random = seededRandom(5)
    for (let round = 0; round < 3000; round++) {
      const [, written, expected, thinking = false] = answers[wholeBelow(random, answers.length)] ?? answers[0] ?? []
      assert.ok(written !== undefined && expected)
      assert.deepEqual(read(cut(written, random), { tools, thinking }), expected, `round ${round}`)
    }
  })

  it('to the same end however it is cut, where it is nonsense made of marks', () => {
    const scraps = [
      '<think>',
      '</think>',
      '<TOOLCALL>',
      '</TOOLCALL>',
      '<tool_call>',
      '</tool_call>',
      ' ',
      '\n',
      'a',
      '<',
      '[{"name":"x"}]',
      '{}',
    ]
    const random = seededRandom(6)
    const outcome = (pieces: readonly string[], thinking: boolean): unknown => {
      try {
        return read(pieces, { tools, thinking })
      } catch (thrown) {
        return coded('MODEL_FAILED')(thrown)
      }
    }
    for (let round = 0; round < 3000; round++) {
      const written = Array.from(
        { length: wholeBelow(random, 9) },
        () => scraps[wholeBelow(random, scraps.length)],
      ).join('')
      const thinking = random() < 0.3
      assert.deepEqual(outcome(cut(written, random), thinking), outcome([written], thinking), JSON.stringify(written))
    }
  })

  it('as text alone where no tools were offered', () => {
    const written = 'Use <TOOLCALL>[]</TOOLCALL> for that.'
    assert.deepEqual(read([written], {}), { text: written, thought: '', calls: [] })
  })

  it('gives text out as soon as it cannot become a mark', () => {
    const reader = new AnswerReader({ tools })
    assert.deepEqual(reader.push('one <'), [{ type: 'token', text: 'one' }])
    assert.deepEqual(reader.push('b'), [{ type: 'token', text: ' <b' }])
  })

  it('with an error where a call is cut off, is no JSON, or has no end', () => {
    for (const written of [
      '<TOOLCALL>[{"name": "count_li',
      '<TOOLCALL>count notes</TOOLCALL>',
      '<tool_call><function=x></tool_call>',
      '<TOOLCALL>[{"arguments":{}}]</TOOLCALL>',
    ])
      assert.throws(() => read([written]), coded('MODEL_FAILED'))
    const reader = new AnswerReader({ tools })
    reader.push('<TOOLCALL>')
    assert.throws(() => {
      for (let i = 0; i < 300; i++) reader.push('x'.repeat(1000))
    }, coded('MODEL_FAILED'))
  })
})

function cut(text: string, random: () => number): string[] {
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const length = 1 + wholeBelow(random, 12)
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}
