import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type CallState, type CallSymbol, marks, openCall } from '../../../inference/constrain/automaton.js'
import { ruleOf } from '../../../inference/constrain/rule.js'
import { spansOf } from '../../../inference/constrain/span.js'
import { seeded } from '../../../inference/onnx/random.js'
import { checkCall, type ToolArgument, type ToolCall, type ToolSpec } from '../../../inference/tool.js'
import { coded } from '../../contract/backend.js'

function tool(name: string, properties: Record<string, ToolArgument>, required = Object.keys(properties)): ToolSpec {
  return { name, description: name, parameters: { type: 'object', properties, required } }
}

const path: ToolArgument = { type: 'string', 'x-copy': true }
const tools = [
  tool('list_files', { path }, []),
  tool('read_file', { path }),
  tool('read', { path, mode: { type: 'string', enum: ['text', 'tail'] } }, ['path']),
  tool('first_lines', { path, count: { type: 'integer', minimum: 1, maximum: 250 } }),
  tool('calculate', { expression: { type: 'string', 'x-charset': '0-9 .+-*/()' } }),
  tool('set', { on: { type: 'boolean' } }),
  tool('no_tool', {}),
]
const message = 'the first five lines of "my notes.txt" or list.csv?'

/** A compact call, written with < for an argument and . for the end, as symbols. */
function symbols(written: string): CallSymbol[] {
  const bytes = [...new TextEncoder().encode(written)]
  return [marks.call, ...bytes.map((byte) => (byte === 60 ? marks.arg : byte)), marks.end]
}

/** The call, or the symbols that were taken before one was refused. */
function write(written: string, said = message): ToolCall | number {
  let state: CallState = openCall(tools.map(ruleOf), spansOf(said))
  for (const [taken, symbol] of symbols(written).entries()) {
    if (!state.next.has(symbol)) return taken
    state = state.push(symbol)
  }
  assert.ok(state.call)
  return state.call
}

describe('a compact call', () => {
  const accepted: Record<string, ToolCall> = {
    list_files: { name: 'list_files', arguments: {} },
    'list_files<list.csv': { name: 'list_files', arguments: { path: 'list.csv' } },
    'read_file<my notes.txt': { name: 'read_file', arguments: { path: 'my notes.txt' } },
    'read<list.csv': { name: 'read', arguments: { path: 'list.csv' } },
    'read<list.csv<tail': { name: 'read', arguments: { path: 'list.csv', mode: 'tail' } },
    'first_lines<my notes.txt<5': { name: 'first_lines', arguments: { path: 'my notes.txt', count: 5 } },
    'first_lines<list.csv<250': { name: 'first_lines', arguments: { path: 'list.csv', count: 250 } },
    'calculate<12 + 7 * (3 - 1)': { name: 'calculate', arguments: { expression: '12 + 7 * (3 - 1)' } },
    'set<false': { name: 'set', arguments: { on: false } },
    no_tool: { name: 'no_tool', arguments: {} },
  }
  for (const [written, call] of Object.entries(accepted))
    it(`${written} is ${JSON.stringify(call)}`, () => assert.deepEqual(write(written), call))

  const refused: [string, string][] = [
    ['delete_file<list.csv', ''],
    ['read_', 'read_'],
    ['read_file', 'read_file'],
    ['read_file<', 'read_file<'],
    ['read_file</etc/passwd', 'read_file<'],
    ['read_file<my notes', 'read_file<my notes'],
    ['read_file<list.csv?', 'read_file<list.csv'],
    ['read_file<list.csv<more', 'read_file<list.csv'],
    ['read<list.csv<te', 'read<list.csv<te'],
    ['first_lines<list.csv', 'first_lines<list.csv'],
    ['first_lines<list.csv<0', 'first_lines<list.csv<'],
    ['first_lines<list.csv<251', 'first_lines<list.csv<25'],
    ['first_lines<list.csv<07', 'first_lines<list.csv<'],
    ['first_lines<list.csv<-1', 'first_lines<list.csv<'],
    ['calculate<two', 'calculate<'],
    ['calculate<', 'calculate<'],
    ['set<maybe', 'set<'],
  ]
  for (const [written, good] of refused)
    it(`${written} is refused behind "${good}"`, () => assert.equal(write(written), good.length + 1))

  it('offers no tool that must copy when there is nothing to copy', () => {
    assert.equal(write('read_file', ' '), 1)
    assert.deepEqual(write('list_files', ' '), { name: 'list_files', arguments: {} })
  })

  it('forces what has no alternative: a name from its first distinct letter, a file from its first', () => {
    let state = openCall(tools.map(ruleOf), spansOf(message))
    let asked = 0
    for (const symbol of symbols('first_lines<my notes.txt<5')) {
      if (state.next.size > 1) asked++
      state = state.push(symbol)
    }
    // The letter f, the letter m, the digit, and whether another digit follows.
    assert.equal(asked, 4)
  })

  it('comes to an end that its schema accepts, whatever is picked on the way', () => {
    const said = [message, 'x', '"', 'a "b c" (d) \'e\' ß 12.5…', 'sum amount in q3/"report 7".csv, please']
    for (let seed = 0; seed < 3000; seed++) {
      const random = seeded(seed)
      const user = said[seed % said.length] ?? ''
      let state = openCall(tools.map(ruleOf), spansOf(user))
      while (!state.call) {
        const next = [...state.next]
        assert.ok(next.length > 0, `a dead end for ${user}`)
        state = state.push(next[Math.floor(random() * next.length)] ?? 0)
      }
      assert.deepEqual(checkCall(state.call, tools, user), state.call)
    }
  })
})

describe('a tool that the compact format cannot write is refused:', () => {
  const unwritable: Record<string, ToolSpec> = {
    'a nested argument': tool('t', { a: { type: 'object' } }),
    'a fraction': tool('t', { a: { type: 'number' } }),
    'a required argument behind one that is not': tool('t', { a: path, b: path }, ['b']),
    'an integer without room': tool('t', { a: { type: 'integer', minimum: 5, maximum: 4 } }),
    'characters beyond ASCII': tool('t', { a: { type: 'string', 'x-charset': 'äöü' } }),
  }
  for (const [what, spec] of Object.entries(unwritable))
    it(what, () => assert.throws(() => ruleOf(spec), coded('MODEL_UNSUITED')))
})
