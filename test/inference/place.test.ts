import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Demand,
  memoryNeeded,
  type Offer,
  offerSchema,
  type Placement,
  place,
  tolerance,
} from '../../inference/place.js'
import { seededRandom, wholeBelow } from '../kit/random.js'

const demand: Demand = { zones: ['mesh'], modalities: ['text'], promptTokens: 500, outputTokens: 100 }

function offer(node: string, changes: Partial<Offer> = {}): Offer {
  return {
    node,
    model: 'm',
    zone: 'mesh',
    healthy: true,
    draining: false,
    modalities: ['text'],
    context: 4096,
    slots: 4,
    running: 0,
    queued: 0,
    queuedTokens: 0,
    speed: { prefill: 1000, decode: 50 },
    networkMs: 1,
    ...changes,
  }
}

const reasonOf = ({ reasons }: Placement, node: string) =>
  reasons.find((reason) => reason.node === node) ?? assert.fail(node)

/** Who is chosen over many draws. */
function chosenOf(offers: readonly Offer[], asked: Demand = demand): Record<string, number> {
  const random = seededRandom(3)
  const counts: Record<string, number> = {}
  for (let i = 0; i < 2000; i++) {
    const { chosen } = place(asked, offers, random)
    if (chosen) counts[chosen.node] = (counts[chosen.node] ?? 0) + 1
  }
  return counts
}

describe('a request with a bound on thoughts', () => {
  it('is placed where what serves the model can hold it to that', () => {
    const offers = [offer('able', { boundsThought: true }), offer('silent'), offer('unable', { boundsThought: false })]
    const able = (asked: Demand) => Object.keys(chosenOf(offers, asked)).sort()
    assert.deepEqual(able({ ...demand, boundsThought: true }), ['able'])
    assert.deepEqual(able(demand), ['able', 'silent', 'unable'])
    const reason = reasonOf(place({ ...demand, boundsThought: true }, offers, Math.random), 'silent')
    assert.ok('by' in reason && reason.by === 'backend')
  })
})

describe('a request is placed', () => {
  const fast = { speed: { prefill: 1e6, decode: 1e5 } }
  const GiB = 1024 ** 3
  const unloaded = { weights: 8 * GiB, kvBytesPerToken: 131072, free: 11 * GiB, loadMs: 0 }
  const unfit: [string, Partial<Offer>, RegExp][] = [
    ['a place that it may not see', { zone: 'elsewhere' }, /zone elsewhere/],
    ['a node that is not healthy', { healthy: false }, /not healthy/],
    ['a node that drains', { draining: 'it is draining' }, /draining/],
    ['a model that takes no text', { modalities: ['image'] }, /does not take text/],
    ['a context that is too short', { context: 599 }, /context of 599/],
    ['a node without the memory', { unloaded: { ...unloaded, free: 10.5 * GiB } }, /memory/],
  ]
  for (const [what, changes, why] of unfit)
    it(`never to ${what}, however fast it is, and says why`, () => {
      const offers = [offer('slow'), offer('unfit', { ...fast, ...changes })]
      assert.deepEqual(chosenOf(offers), { slow: 2000 })
      const reason = reasonOf(place(demand, offers, Math.random), 'unfit')
      assert.match('refused' in reason ? reason.refused : '', why)
      assert.equal(place(demand, offers.slice(1), Math.random).chosen, undefined)
    })

  it('to a named model alone', () => {
    assert.deepEqual(chosenOf([offer('a'), offer('b', { model: 'n' })], { ...demand, models: ['n'] }), { b: 2000 })
  })

  it('where memory is enough for weights, all slots at full length, and the margin', () => {
    const needed = memoryNeeded({ unloaded, slots: 4, context: 4096 })
    assert.equal(needed, 8 * GiB * 1.1 + 4 * 4096 * 131072 + 256 * 1024 ** 2)
    assert.ok(place(demand, [offer('a', { unloaded: { ...unloaded, free: needed } })], Math.random).chosen)
    assert.equal(
      place(demand, [offer('a', { unloaded: { ...unloaded, free: needed - 1 } })], Math.random).chosen,
      undefined,
    )
  })

  it('by the time that it will take: prompt, answer, queue, load, way there', () => {
    const placed = place(demand, [offer('a')], Math.random)
    assert.deepEqual(reasonOf(placed, 'a'), {
      node: 'a',
      model: 'm',
      ms: 500 + 2000 + 1,
      wait: 0,
      prefill: 500,
      decode: 2000,
      load: 0,
      network: 1,
    })
    const longer: Partial<Offer>[] = [
      { running: 1 },
      { running: 4, queued: 3 },
      { queuedTokens: 900 },
      { networkMs: 200 },
      { speed: { prefill: 500, decode: 50 } },
      { unloaded: { ...unloaded, free: 12 * GiB, loadMs: 9000 } },
    ]
    for (const changes of longer) {
      const reason = reasonOf(place(demand, [offer('a', changes)], Math.random), 'a')
      assert.ok('ms' in reason && reason.ms > 2501, JSON.stringify(changes))
    }
  })

  it('to where most of its beginning is at hand, as far as that goes without a gap', () => {
    const asked = { ...demand, blocks: ['a', 'b', 'c'], blockTokens: 128 }
    const prefill = (blocks: string[]): number => {
      const reason = reasonOf(place(asked, [offer('x', { blocks })], Math.random), 'x')
      return 'ms' in reason ? reason.prefill : Number.NaN
    }
    assert.deepEqual(
      [prefill([]), prefill(['a', 'b']), prefill(['b', 'c']), prefill(['c', 'b', 'a'])],
      [500, 244, 500, 116],
    )
  })

  it('to a node that computes answers together rather than to one that does not, when both are busy', () => {
    const batch = { prefill: 1000, decode: 50, batch: { size: 4, decode: 150 } }
    const [together, apart] = [offer('together', { running: 3, speed: batch }), offer('apart', { running: 3 })]
    assert.deepEqual(chosenOf([apart, together]), { together: 2000 })
  })

  it('among equals evenly, and never to one that is much slower', () => {
    const counts = chosenOf([offer('a'), offer('b'), offer('c'), offer('slow', { speed: { prefill: 100, decode: 5 } })])
    assert.equal(counts.slow, undefined)
    for (const node of ['a', 'b', 'c']) assert.ok((counts[node] ?? 0) > 500, JSON.stringify(counts))
  })

  it('to what was never measured too, as if it were the slowest', () => {
    const { speed: _, ...unmeasured } = offer('new')
    assert.ok((chosenOf([offer('a'), unmeasured]).new ?? 0) > 500)
    assert.ok(place(demand, [unmeasured], Math.random).chosen)
  })

  it('by its rules whatever the offers are', () => {
    const random = seededRandom(11)
    const any = (limit: number): number => wholeBelow(random, limit)
    for (let round = 0; round < 3000; round++) {
      const offers = Array.from({ length: any(9) }, (_, i) =>
        offer(`n${i}`, {
          zone: random() < 0.8 ? 'mesh' : 'elsewhere',
          healthy: random() < 0.9,
          draining: random() < 0.1 && 'it is draining',
          context: random() < 0.2 ? null : 1 + any(4096),
          running: any(9),
          queued: any(9),
          queuedTokens: any(5000),
          speed: {
            prefill: 1 + any(5000),
            decode: 1 + any(200),
            ...(random() < 0.5 ? { batch: { size: 4, decode: 1 + any(800) } } : {}),
          },
          ...(random() < 0.3 ? { unloaded: { ...unloaded, free: any(20) * GiB } } : {}),
        }),
      )
      const { chosen, reasons } = place(demand, offers, random)
      assert.equal(reasons.length, offers.length)
      const times = reasons.flatMap((reason) => ('ms' in reason ? [reason.ms] : []))
      assert.ok(times.every((ms) => Number.isFinite(ms) && ms > 0))
      assert.equal(chosen !== undefined, times.length > 0)
      if (!chosen) continue
      const reason = reasonOf({ chosen, reasons }, chosen.node)
      assert.ok('ms' in reason && reason.ms <= tolerance * Math.min(...times))
      assert.ok(chosen.zone === 'mesh' && chosen.healthy && !chosen.draining)
      assert.ok(chosen.context === null || chosen.context >= 600)
      assert.ok(!chosen.unloaded || memoryNeeded(chosen) <= chosen.unloaded.free)
    }
  })

  it('from adverts that were read as such', () => {
    const { node: _, zone: __, healthy: ___, draining: ____, networkMs: _____, ...said } = offer('a')
    assert.deepEqual(offerSchema.parse(said), said)
    assert.throws(() => offerSchema.parse({ ...said, speed: { prefill: 0, decode: 1 } }))
  })

  it('though a node says that its model is all but still, or faster than light', () => {
    const said = (decode: number) => {
      const { speed } = offerSchema.parse({ ...offer('odd'), draining: undefined, speed: { prefill: 1, decode } })
      return offer('odd', speed ? { speed } : {})
    }
    assert.deepEqual(chosenOf([offer('a'), said(1e-320)]), { a: 2000 })
    for (const decode of [1e-320, 1e308]) assert.deepEqual(chosenOf([said(decode)]), { odd: 2000 })
  })
})
