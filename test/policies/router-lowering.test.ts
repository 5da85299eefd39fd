import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sensitivityOfFile } from '../../policies/router.js'
import { lowerFile } from '../../policies/router-lowering.js'
import { shipped } from '../router/kit.js'

const rules = shipped.replace(
  /^files: \[\]$/m,
  `files:
  - { path: board, label: RESTRICTED, categories: [FIN] } # of the board
  - { path: board/minutes/secret.txt, label: RESTRICTED }`,
)
const internal = { label: 'INTERNAL' as const, categories: [] }

describe('what the rules say of a file', () => {
  it('is lowered for that file alone, and nothing else in the text changes', () => {
    const { text, rules: lowered, from } = lowerFile(rules, 'board/plan.txt', internal, 'Anna: published')
    assert.deepEqual(from, { label: 'RESTRICTED', categories: ['FIN'] })
    assert.deepEqual(sensitivityOfFile(lowered, 'board/plan.txt'), internal)
    assert.deepEqual(sensitivityOfFile(lowered, 'board/other.txt'), from)
    assert.match(text, /board\/plan\.txt.*# Anna: published\n/)
    assert.match(text, /# of the board\n/)
    assert.match(text, /^# Telephone|^# Where telephone/m)
    const again = lowerFile(text, 'board/plan.txt', { label: 'PUBLIC', categories: [] }, 'Ben: on the web')
    assert.equal(again.text.match(/board\/plan\.txt/g)?.length, 1)
  })

  it('is not raised, not lowered where nothing is said, and not lowered over what a folder holds', () => {
    for (const [path, to] of [
      ['board', internal],
      ['notes.txt', internal],
      ['board/plan.txt', { label: 'RESTRICTED' as const, categories: ['PHI' as const] }],
    ] as const)
      assert.throws(() => lowerFile(rules, path, to, 'x: y'), { code: 'USAGE' }, path)
  })
})
