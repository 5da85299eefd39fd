import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answerOf } from '../../../nodes/agents/job/job.js'

type Given = Parameters<typeof answerOf>[0]

const answered = (result: object): string =>
  answerOf({ report: { node: 'worker-1', outcome: { status: 'done', result } } } as unknown as Given)

describe('the answer to a part of a request', () => {
  it('shows the text that was asked for, and the lines that were found', () => {
    assert.equal(answered({ summary: '2 lines', text: 'one\n\ntwo\n' }), '2 lines\none\n\ntwo')
    const matches = [{ line: 3, text: 'Jürgen' }]
    assert.equal(answered({ summary: '1 line', matches, total: 1 }), '1 line\n3: Jürgen')
    for (const nothing of [{ text: '' }, { matches: [] }, {}, { text: 7 }, { matches: 'x' }])
      assert.equal(answered({ summary: 'no line', ...nothing }), 'no line')
  })

  it('shows the beginning of what is long', () => {
    const lines = answered({ summary: '900 lines', text: 'x'.repeat(10_000).concat('\ny'.repeat(899)) }).split('\n')
    assert.equal(lines.length, 42)
    assert.equal(lines[1], 'x'.repeat(400))
    assert.equal(lines.at(-1), '… 860 more lines')
  })
})
