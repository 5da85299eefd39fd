import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../../kit/random.js'
import { runCluster } from './cluster.js'

describe('three brokers', () => {
  it('lose and double nothing that was acknowledged when the one that leads is killed', async () => {
    const { acknowledged, answered, gapMs, kills, ...wrong } = await runCluster(1, seededRandom(1), () => undefined)
    assert.deepEqual(wrong, { lost: 0, doubled: 0, faults: [], misjudged: 0 })
    assert.ok(kills === 1 && acknowledged > 100 && answered > 100, `${acknowledged} acknowledged, ${answered} answered`)
    assert.ok(gapMs <= 11_000, `${gapMs} ms`)
  })
})
