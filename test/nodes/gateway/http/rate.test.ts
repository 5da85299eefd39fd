import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RateLimit } from '../../../../nodes/gateway/http/rate.js'

describe('the rate of a key', () => {
  it('lets a burst through, then so many a second, and says how long to wait', () => {
    const limit = new RateLimit({ burst: 3, perSecond: 2 })
    assert.deepEqual(
      [0, 0, 0, 0].map((now) => limit.take('a', now)),
      [0, 0, 0, 500],
    )
    assert.equal(limit.take('a', 250), 250)
    assert.equal(limit.take('a', 500), 0)
    assert.equal(limit.take('a', 500), 500)
    let taken = 0
    for (let now = 750; now <= 10_500; now += 250) if (limit.take('a', now) === 0) taken += 1
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
    for (let i = 0; i < 900; i++) limit.take(`rested ${i}`, 0)
    for (let i = 0; i < 200; i++) limit.take(`busy ${i}`, 2_000_000)
    assert.equal(limit.size, 200)
    assert.ok(limit.take('busy 0', 2_000_001) > 0)
    for (let i = 200; i < 5000; i++) limit.take(`busy ${i}`, 2_000_001)
    assert.equal(limit.size, 1000)
  })
})
