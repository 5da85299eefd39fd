import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Backend } from '../../inference/backend.js'
import { chooseNode, offerOf, offersOf } from '../../nodes/process/placing.js'

const backend = (decode: number): Backend => ({
  model: { name: 'm', digest: null, backend: 'onnx', context: 512, purpose: '', limits: '' },
  speed: { prefill: 1000, decode },
  slots: 4,
  generate: () => assert.fail(),
  dispose: async () => {},
})

const node = (name: string, advert: Record<string, unknown>, draining = false) => ({ name, draining, advert })

describe('the node for a prompt', () => {
  it('is the one whose model was measured to be fast', () => {
    const nodes = [
      node('slow', { zone: 'mesh', offers: [offerOf(backend(5))] }),
      node('fast', { zone: 'mesh', offers: [offerOf(backend(500))] }),
    ]
    for (let i = 0; i < 100; i++) assert.equal(chooseNode(nodes, ['mesh'], 400), 'fast')
  })

  it('is none where the prompt may not go, does not fit, or all drain', () => {
    const offers = [offerOf(backend(50))]
    assert.equal(chooseNode([node('a', { offers })], ['mesh'], 40), undefined)
    assert.equal(chooseNode([node('a', { zone: 'mesh', offers })], ['mesh'], 4000), undefined)
    assert.equal(chooseNode([node('a', { zone: 'mesh', offers }, true)], ['mesh'], 40), undefined)
  })

  it('is not one that says nonsense', () => {
    const [offer] = [offerOf(backend(50))]
    for (const said of [
      undefined,
      'fast',
      [{}],
      [{ ...offer, speed: { prefill: -1, decode: 1 } }],
      [{ ...offer, slots: Number.POSITIVE_INFINITY }],
    ])
      assert.deepEqual(offersOf([node('a', { zone: 'mesh', offers: said })]), [])
  })
})
