import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chunkTokens, type Run, runsOf } from '../../../inference/onnx/step.js'

/** The runs of a step for answers a, b, c … that want so many tokens, as `a1 b1`. */
function runs(pending: number[], step = 1, batches = true, fillsUp = true): string[] {
  const wanted = pending.map((each, i) => ({ of: String.fromCharCode(97 + i), pending: each }))
  return runsOf(wanted, { batches, fillsUp }, step).map((run: Run<string>) =>
    run.map(({ of, count }) => of + count).join(' '),
  )
}

describe('a step', () => {
  it('gives all answers their next token in one run', () => {
    assert.deepEqual(runs([1, 1, 1]), ['a1 b1 c1'])
    assert.deepEqual(runs([]), [])
  })

  it('feeds one chunk of one prompt beside them', () => {
    assert.deepEqual(runs([1, 500, 1, 300]), ['a1 c1', `d${chunkTokens}`])
    assert.deepEqual(runs([20]), ['a20'])
  })

  it('feeds one token of each where unlike numbers do not go together, and one alone as many as it has', () => {
    assert.deepEqual(runs([5, 5, 1, 90], 1, true, false), ['a1 b1 c1', `d${chunkTokens}`])
    assert.deepEqual(runs([5, 90], 1, true, false), ['a5', `b${chunkTokens}`])
  })

  it('takes the prompt with least left, and every fourth time the oldest', () => {
    const first = [0, 1, 2, 3, 4].map((step) => runs([500, 100, 300], step)[0]?.[0])
    assert.deepEqual(first, ['a', 'b', 'b', 'b', 'a'])
  })

  it('feeds several forced tokens at once where that costs the others little', () => {
    assert.deepEqual(runs([5]), ['a5'])
    assert.deepEqual(runs([5, 5, 4]), ['a5 b5 c4'])
    // Fifteen rows of padding for each token more would be dearer than another step.
    assert.deepEqual(runs([5, ...Array.from({ length: 15 }, () => 1)])[0]?.split(' ')[0], 'a1')
  })

  it('feeds each alone where the graph takes one at a time', () => {
    assert.deepEqual(runs([1, 500, 3], 1, false), ['a1', `b${chunkTokens}`, 'c3'])
  })

  it('never feeds more than is wanted, and no answer twice', () => {
    for (let seed = 1; seed < 500; seed++) {
      const pending = Array.from({ length: seed % 20 }, (_, i) => 1 + ((seed * 7919 + i * 104_729) % (1 + (seed % 90))))
      const fed = runs(pending, seed).flatMap((run) => run.split(' '))
      assert.equal(new Set(fed.map((each) => each[0])).size, fed.length)
      for (const each of fed) {
        const count = Number(each.slice(1))
        assert.ok(count >= 1 && count <= (pending[each.charCodeAt(0) - 97] ?? 0) && count <= chunkTokens)
      }
      assert.ok(pending.length === 0 || fed.length > 0)
    }
  })
})
