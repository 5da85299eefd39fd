import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { join, labels } from '../../router/label.js'
import { route } from '../../router/route.js'

const here = { name: 'model-1', zone: 'mesh' as const }
const cloud = { name: 'frontier', zone: 'elsewhere' as const }

describe('labels', () => {
  it('rise to that of the most sensitive part, in whatever order', () => {
    for (const a of labels) for (const b of labels) assert.equal(join([a, b]), join([b, a]))
    assert.equal(join(['PUBLIC', 'CONFIDENTIAL', 'INTERNAL']), 'CONFIDENTIAL')
  })

  it('are RESTRICTED where nobody said anything', () => assert.equal(join([]), 'RESTRICTED'))
})

describe('routing', () => {
  it('lets nothing but PUBLIC leave the mesh', () => {
    for (const label of labels) {
      assert.deepEqual(route(label, [cloud, here]), label === 'PUBLIC' ? [cloud, here] : [here])
    }
  })

  it('refuses rather than falls back to a model elsewhere', () => {
    for (const label of labels.filter((each) => each !== 'PUBLIC')) {
      assert.throws(
        () => route(label, [cloud]),
        (error) => error instanceof ClawmeshError && error.code === 'DENIED' && !error.retry,
      )
    }
  })

  it('says when there is no model at all', () => {
    assert.throws(
      () => route('PUBLIC', []),
      (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE',
    )
  })
})
