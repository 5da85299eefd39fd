import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { killConsumer } from './kill-consumer.js'

describe('an exporting consumer', () => {
  it('that is killed at 12 random moments misses no event and doubles none', async () => {
    const { kills, whileWriting, events, files, faults } = await killConsumer(12, 11, () => undefined)
    assert.deepEqual(faults, [])
    assert.equal(kills, 12)
    assert.ok(whileWriting >= 8, `${whileWriting} kills met one that wrote`)
    assert.ok(events > 500 && files > 1, `${events} events in ${files} files`)
  })
})
