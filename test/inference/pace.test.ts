import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { learned } from '../../inference/pace.js'
import type { Speed } from '../../inference/place.js'

const often = (speed: Speed | undefined, seen: Parameters<typeof learned>[1], slots = 8): Speed | undefined =>
  Array.from({ length: 60 }).reduce<Speed | undefined>((known) => learned(known, seen, slots), speed)
const near = (value: number | undefined, expected: number) =>
  assert.ok(value !== undefined && Math.abs(value - expected) < expected * 0.02, `${value} instead of ${expected}`)

describe('the speed of a model', () => {
  const atLoad: Speed = { prefill: 1000, decode: 50, batch: { size: 8, decode: 200 } }

  it('comes to be what is seen, whatever it was at load', () => {
    const speed = often(atLoad, { prefill: 400, decode: { rate: 20, among: 1 } })
    near(speed?.prefill, 400)
    near(speed?.decode, 20)
    near(speed?.batch?.decode, 200)
  })

  it('moves by a fifth of the difference with one answer', () => {
    assert.equal(learned(atLoad, { prefill: 500 }, 8)?.prefill, 900)
    assert.equal(learned(atLoad, { decode: { rate: 100, among: 1 } }, 8)?.decode, 60)
  })

  it('learns of a full batch from answers in one, and of answers alone only from those', () => {
    const full = often(atLoad, { decode: { rate: 15, among: 8 } })
    near(full?.batch?.decode, 120)
    assert.equal(full?.decode, 50)
    // Half full: 4.5 at 24 are 108 tokens, half way from 50 to 166.
    near(often(atLoad, { decode: { rate: 24, among: 4.5 } })?.batch?.decode, 166)
  })

  it('follows answers that come in one piece by how much faster or slower they were than it says', () => {
    const half = learned(atLoad, { ratio: 0.5 }, 8)
    assert.deepEqual(half, { prefill: 900, decode: 45, batch: { size: 8, decode: 180 } })
    assert.deepEqual(learned(atLoad, { ratio: 1e9 }, 8), learned(atLoad, { ratio: 5 }, 8))
  })

  it('begins with the first answer where nothing was measured, and is never nothing or below', () => {
    assert.equal(learned(undefined, { decode: { rate: 20, among: 1 } }, 8), undefined)
    assert.deepEqual(learned(undefined, { prefill: 300, decode: { rate: 20, among: 1 } }, 8), {
      prefill: 300,
      decode: 20,
    })
    // Of a call only the whole can be timed, and what it says of the next one of its kind is what was seen.
    const call = learned(undefined, { whole: { read: 200, written: 18, ms: 2000 } }, 8)
    assert.deepEqual(call, { prefill: 1000, decode: 10 })
    const slow = often(atLoad, { decode: { rate: 0.1, among: 1.5 } })
    assert.ok(slow && (slow.batch?.decode ?? 0) > 0)
  })
})
