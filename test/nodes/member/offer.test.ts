import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { it } from 'node:test'
import { keepOffer, recallOffer } from '../../../nodes/member/offer.js'
import { temporaryFolder } from '../../kit/mesh.js'

it('what a machine offers is remembered, but for the name of shared files where they are others now, or are shared no longer', () => {
  const data = temporaryFolder()
  try {
    const say = (given: Parameters<typeof recallOffer>[1]) => {
      const offer = recallOffer(data, given)
      keepOffer(data, offer)
      return [offer.workspace, offer.shared]
    }
    assert.deepEqual(say({ workspace: '/a', shared: 'none' }), ['/a', undefined])
    assert.deepEqual(say({ shared: 'ledger' }), ['/a', 'ledger'])
    assert.deepEqual(say({}), ['/a', 'ledger'])
    assert.deepEqual(say({ workspace: '/a' }), ['/a', 'ledger'])
    assert.deepEqual(say({ workspace: '/b' }), ['/b', undefined])
    assert.deepEqual(say({ workspace: '/c', shared: 'notes' }), ['/c', 'notes'])
    assert.deepEqual(say({ shared: 'none' }), ['/c', undefined])
    assert.deepEqual(say({}), ['/c', undefined])
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})
