import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { join, labels } from '../../router/label.js'

describe('labels', () => {
  it('rise to that of the most sensitive part, in whatever order', () => {
    for (const a of labels) for (const b of labels) assert.equal(join([a, b]), join([b, a]))
    assert.equal(join(['PUBLIC', 'CONFIDENTIAL', 'INTERNAL']), 'CONFIDENTIAL')
  })

  it('are RESTRICTED where nobody said anything', () => assert.equal(join([]), 'RESTRICTED'))
})
