import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { type Asked, calibrate, costUnder, shareFrom, withLimits } from '../../policies/calibration.js'
import { parseRouterRules } from '../../policies/router.js'

const asked = (points: number, more: Partial<Asked> = {}): Asked => ({
  ...{ points, characters: 4000, maxTokens: 1000, label: 'INTERNAL', categories: [], roles: [], ...more },
})

describe('limits by what was asked', () => {
  it('keep to the shares, and are the lowest that do', () => {
    // From a fixed sequence: every mixture of points from 0 to 9.
    for (let seed = 1; seed <= 200; seed += 1) {
      const all = Array.from({ length: 1 + (seed % 40) }, (_, n) => asked(Math.imul(n + 1, seed * 7919) % 10))
      for (const shares of [
        { moderate: 0.3, hard: 0.1 },
        { moderate: 1, hard: 0 },
        { moderate: 0, hard: 0 },
        { moderate: 0.5, hard: 0.5 },
      ]) {
        const { moderate, hard } = calibrate(all, shares)
        assert.ok(moderate >= 1 && hard > moderate)
        assert.ok(shareFrom(all, moderate) <= shares.moderate && shareFrom(all, hard) <= shares.hard)
        if (moderate > 1) assert.ok(shareFrom(all, moderate - 1) > shares.moderate)
        if (hard > moderate + 1) assert.ok(shareFrom(all, hard - 1) > shares.hard)
      }
    }
    assert.deepEqual(calibrate([], { moderate: 0, hard: 0 }), { moderate: 1, hard: 2 })
  })

  it('are written down and nothing else is changed', () => {
    const shipped = readFileSync(join(installation, 'policies', 'router.yaml'), 'utf8')
    const { text } = withLimits(shipped, { moderate: 3, hard: 6 })
    assert.deepEqual(parseRouterRules(text).order.from, { moderate: 3, hard: 6 })
    const { from } = parseRouterRules(shipped).order
    assert.deepEqual(parseRouterRules(withLimits(text, from).text), parseRouterRules(shipped))
    const comments = (of: string) => of.split('\n').filter((line) => line.startsWith('#'))
    assert.deepEqual(comments(text), comments(shipped))
    assert.deepEqual(parseRouterRules(withLimits(text, { moderate: 1, hard: 2 }).text).order.from, {
      moderate: 1,
      hard: 2,
    })
    assert.throws(() => withLimits(shipped, { moderate: 3, hard: 3 }), { code: 'POLICY_INVALID' })
  })

  it('cost what the first model of each question would, of those that may see it', () => {
    const rules = (from: string) =>
      parseRouterRules(
        readFileSync(join(installation, 'policies', 'router.yaml'), 'utf8')
          .replace(/^elsewhere: \[\]$/m, 'elsewhere: [frontier/large]')
          .replace(
            /^order: \{\}$/m,
            `order:
  from: ${from}
  prices: [{ model: mesh, upTo: simple, input: 1, output: 0 }, { model: frontier/large, upTo: hard, input: 10, output: 20 }]`,
          ),
      )
    const now = rules('{ moderate: 2, hard: 5 }')
    // 1,000 tokens of prompt and as many of answer, at most.
    assert.deepEqual(costUnder(now, [asked(0)]), { most: 0.001, unpriced: 0 })
    assert.deepEqual(costUnder(now, [asked(2)]), { most: 0.03, unpriced: 0 })
    assert.deepEqual(costUnder(rules('{ moderate: 3, hard: 5 }'), [asked(2)]), { most: 0.001, unpriced: 0 })
    const stays = asked(9, { label: 'RESTRICTED', categories: ['PHI'] })
    assert.deepEqual(costUnder(now, [stays]), { most: 0.001, unpriced: 0 }, 'what stays is never priced as if it left')
    const secret = asked(9, { label: 'RESTRICTED', categories: ['SECRET'] })
    assert.deepEqual(costUnder(now, [secret]), { most: 0, unpriced: 0 }, 'what nobody sees costs nothing')
  })
})
