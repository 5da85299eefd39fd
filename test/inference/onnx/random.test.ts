import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pick, seeded } from '../../../inference/onnx/random.js'

it('the same seed gives the same numbers, another seed others, all in [0, 1) and spread evenly', () => {
  const [one, same, other] = [seeded(1), seeded(1), seeded(2)]
  const drawn = Array.from({ length: 10_000 }, one)
  assert.deepEqual(drawn.slice(0, 100), Array.from({ length: 100 }, same))
  assert.notDeepEqual(drawn.slice(0, 100), Array.from({ length: 100 }, other))
  assert.ok(drawn.every((number) => number >= 0 && number < 1))
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = drawn.filter((number) => Math.floor(number * 10) === tenth).length
    assert.ok(share > 850 && share < 1150, `${share} of 10000 in tenth ${tenth}`)
  }
})

it('temperature 0 takes the likeliest of the allowed tokens, the lowest id of equals', () => {
  const logits = Float32Array.of(9, 3, 7, 7, 1)
  assert.equal(pick(logits, [1, 2, 3, 4], 0, Math.random), 2)
})

it('a temperature draws each allowed token as often as the softmax says, and no other', () => {
  const logits = Float32Array.of(100, Math.log(1), Math.log(3), 100)
  const random = seeded(3)
  const drawn = Array.from({ length: 10_000 }, () => pick(logits, [1, 2], 1, random))
  assert.ok(drawn.every((token) => token === 1 || token === 2))
  const share = drawn.filter((token) => token === 2).length / drawn.length
  assert.ok(Math.abs(share - 0.75) < 0.02, `${share}`)
})

it('logits that are not numbers are an error, not an answer', () => {
  assert.throws(() => pick(Float32Array.of(Number.NaN, Number.NaN), [0, 1], 0, Math.random), /not numbers/)
})
