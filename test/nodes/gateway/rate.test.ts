import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RateLimit } from '../../../nodes/gateway/rate.js'

describe('the rate of a key', () => {
  it('lets a burst through, then so many a second, and says how long to wait', () => {
    const limit = new RateLimit({ burst: 3, perSecond: 2 })
    assert.deepEqual(
      [0, 0, 0, 0].map((now) => limit.take('a', now)),
      [0, 0, 0, 500],
    )
    assert.equal(limit.take('a', 499), 1)
    assert.equal(limit.take('a', 500), 0)
    assert.equal(limit.take('a', 500), 500)
    let taken = 0
    for (let now = 501; now <= 10_500; now += 1) if (limit.take('a', now) === 0) taken += 1
    assert.equal(taken, 20)
  })

  it('never lets more through after a rest than a burst', () => {
    const limit = new RateLimit({ burst: 3, perSecond: 2 })
    limit.take('a', 0)
    assert.deepEqual(
      [1e9, 1e9, 1e9, 1e9].map((now) => limit.take('a', now) === 0),
      [true, true, true, false],
    )
  })

  it('remembers only so many names, and forgets first those that are rested', () => {
    const limit = new RateLimit({ burst: 1, perSecond: 0.001 })
    limit.take('busy', 1_000_000)
    for (let i = 0; i < 5000; i++) limit.take(`name ${i}`, i < 900 ? 0 : 1_000_000)
    assert.ok(limit.size <= 1000, `${limit.size}`)
  })
})
