import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { costOf, frontierCostOf, parsePrices } from '../../policies/prices.js'

const shipped = readFileSync(join(installation, 'policies', 'prices.yaml'), 'utf8')
const prices = parsePrices(
  [
    'version: v7',
    'source: a contract',
    'currency: EUR',
    'elsewhere:',
    '  - { model: "a/large-*", input: 10, cached: 1, output: 40 }',
    '  - { model: "*", input: 2, cached: 2, output: 2 }',
    'mesh: { hour: 3.6 }',
    'frontier: { name: f, input: 100, cached: 10, output: 400 }',
  ].join('\n'),
)
const usage = { promptTokens: 1000, cachedTokens: 600, outputTokens: 50 }
const elsewhere = { zone: 'elsewhere' as const, usage, seconds: 9 }

describe('a price table', () => {
  it('ships, and calls its figures examples', () => assert.match(parsePrices(shipped).source, /examples, not prices/))

  it('prices tokens, those from a cache apart, by the first pattern that fits', () => {
    assert.equal(costOf(prices, { model: 'a/large-2', ...elsewhere }), (400 * 10 + 600 * 1 + 50 * 40) / 1e6)
    assert.equal(costOf(prices, { model: 'a/larg', ...elsewhere }), (1050 * 2) / 1e6)
  })

  it('takes nothing off where a server says that more was cached than there was', () =>
    assert.equal(
      costOf(prices, {
        ...elsewhere,
        model: 'a/large-2',
        usage: { promptTokens: 10, cachedTokens: 900, outputTokens: 0 },
      }),
      (10 * 1) / 1e6,
    ))

  it('prices the mesh by its hours, whatever the tokens', () =>
    assert.equal(costOf(prices, { model: 'any', zone: 'mesh', usage: null, seconds: 10 }), 0.01))

  it('prices the same tokens at frontier rates, wherever they were used', () => {
    const cost = (400 * 100 + 600 * 10 + 50 * 400) / 1e6
    for (const zone of ['mesh', 'elsewhere'] as const)
      assert.equal(frontierCostOf(prices, { model: 'any', zone, usage, seconds: 1 }), cost)
  })

  it('makes up no price for a model that it does not know, nor tokens that nobody counted', () => {
    assert.equal(costOf(parsePrices(shipped), { model: 'a/unknown', ...elsewhere }), undefined)
    assert.equal(costOf(prices, { ...elsewhere, model: 'a/large-1', usage: null }), undefined)
    assert.equal(frontierCostOf(prices, { ...elsewhere, model: 'a/large-1', usage: null }), undefined)
  })

  it('that does not hold is refused with the field', () => {
    const wrong = shipped.replace('output: 15', 'output: -1')
    assert.throws(() => parsePrices(wrong), {
      code: 'POLICY_INVALID',
      message: /elsewhere\.1\.output|frontier\.output/,
    })
  })
})
