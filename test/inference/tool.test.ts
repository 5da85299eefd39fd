import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { charactersOf } from '../../inference/constrain/charset.js'
import { checkCall, type ToolSpec } from '../../inference/tool.js'
import { coded } from '../contract/backend.js'

const tool: ToolSpec = {
  name: 'first_lines',
  description: 'The first lines',
  parameters: {
    type: 'object',
    properties: {
      path: { type: 'string', 'x-copy': true },
      count: { type: 'integer', minimum: 1 },
      sum: { type: 'string', 'x-charset': '0-9+' },
    },
    required: ['path', 'count'],
  },
}
const said = 'five lines of notes.txt'

describe('a call passes the last gate', () => {
  const good = { path: 'notes.txt', count: 5 }
  it('when its schema accepts it', () => {
    const call = { name: 'first_lines', arguments: { ...good, sum: '1+2' } }
    assert.deepEqual(checkCall(call, [tool], said), call)
  })

  const bad: Record<string, [string, Record<string, unknown>]> = {
    'a tool that was not offered': ['read_file', good],
    'a missing argument': ['first_lines', { path: 'notes.txt' }],
    'an argument more': ['first_lines', { ...good, force: true }],
    'another type': ['first_lines', { ...good, count: '5' }],
    'a number out of bounds': ['first_lines', { ...good, count: 0 }],
    'a fraction': ['first_lines', { ...good, count: 1.5 }],
    'a path that nobody named': ['first_lines', { ...good, path: '/etc/passwd' }],
    'characters that are not allowed': ['first_lines', { ...good, sum: '1-2' }],
  }
  for (const [what, [name, args]] of Object.entries(bad))
    it(`but not with ${what}`, () =>
      assert.throws(() => checkCall({ name, arguments: args }, [tool], said), coded('MODEL_FAILED')))
})

it('a charset has ranges between digits and letters of one case only', () => {
  assert.deepEqual([...new Set(charactersOf('0-9+-*'))].sort(), [...'*+-0123456789'])
  assert.deepEqual([...new Set(charactersOf('a-cX-Z'))].sort(), [...'XYZabc'])
  assert.deepEqual([...new Set(charactersOf('-az-'))].sort(), [...'-az'])
})
