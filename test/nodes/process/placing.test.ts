import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ModelOffer } from '../../../inference/place.js'
import { candidates } from '../../../nodes/agents/model/candidate.js'
import { offersOf, placeAmong } from '../../../nodes/process/placing.js'
import { blocksOf, Sent } from '../../../nodes/process/sent.js'
import { memoryMesh } from '../../kit/mesh.js'

const offer = (decode: number, more: Partial<ModelOffer> = {}): ModelOffer => ({
  model: 'm',
  modalities: ['text'],
  context: 512,
  slots: 4,
  running: 0,
  queued: 0,
  queuedTokens: 0,
  speed: { prefill: 1000, decode },
  ...more,
})

const node = (name: string, offers: unknown, draining = false) => ({ name, draining, advert: { zone: 'mesh', offers } })
const say = (content: string) => ({ messages: [{ role: 'user' as const, content }], maxTokens: 64 })
const zones = ['mesh']

describe('the node for a prompt', () => {
  it('is the one whose model was measured to be fast', () => {
    const nodes = [node('slow', [offer(5)]), node('fast', [offer(500)])]
    for (let i = 0; i < 100; i++) assert.equal(placeAmong(nodes, say('hi'), { zones }).chosen?.node, 'fast')
  })

  it('is the one that is near, of those that are as fast, and nonsense is no distance', () => {
    const far = (name: string, wayMs: unknown) => ({
      ...node(name, []),
      advert: { zone: 'mesh', offers: [offer(500)], wayMs },
    })
    const nodes = [far('far', 900), far('near', 2.5)]
    for (let i = 0; i < 100; i++) assert.equal(placeAmong(nodes, say('hi'), { zones }).chosen?.node, 'near')
    const said = [7, -1, Number.NaN, 1e9, 'far', undefined].map((wayMs) => offersOf([far('a', wayMs)])[0]?.networkMs)
    assert.deepEqual(said, [7, 0, 0, 0, 0, 0])
  })

  it('is one that can hold its model to a bound on thoughts, where the prompt has one and there are thoughts to be had', () => {
    const nodes = [
      node('fast', [offer(500, { backend: 'openai:ollama' })]),
      node('able', [offer(5, { backend: 'openai:vllm', boundsThought: true })]),
    ]
    const chosen = (more: object) => placeAmong(nodes, { ...say('hi'), ...more }, { zones }).chosen?.node
    assert.deepEqual([chosen({ thoughtTokens: 9 }), chosen({})], ['able', 'fast'])
    assert.equal(chosen({ thoughtTokens: 9, thinking: false }), 'fast')
  })

  it('is not one whose model server is gone', () => {
    const nodes = [node('fast', [offer(500, { away: 'its server does not answer' })]), node('slow', [offer(5)])]
    const { chosen, reasons } = placeAmong(nodes, say('hi'), { zones })
    assert.equal(chosen?.node, 'slow')
    assert.deepEqual(reasons[0], { node: 'fast', model: 'm', refused: 'its server does not answer', by: 'health' })
  })

  it('is none where the prompt may not go, does not fit, or all drain', () => {
    const chosen = (...[nodes, request]: Parameters<typeof placeAmong>) => placeAmong(nodes, request, { zones }).chosen
    assert.equal(
      chosen([{ ...node('a', [offer(50)]), advert: { offers: [offer(50)] } }], say('hi'), { zones }),
      undefined,
    )
    assert.equal(chosen([node('a', [offer(50)])], say('x'.repeat(4000)), { zones }), undefined)
    assert.equal(chosen([node('a', [offer(50)], true)], say('hi'), { zones }), undefined)
    assert.equal(chosen([node('a', [offer(50, { draining: 'its GPU is' })])], say('hi'), { zones }), undefined)
  })

  it('is one whose context holds the longest answer, and where none does, one that holds a usual one, which is said', () => {
    const nodes = [node('short', [offer(500)]), node('long', [offer(50, { context: 8192 })])]
    const wants = { ...say('hi'), maxTokens: 2000 }
    const { chosen, reasons, short } = placeAmong(nodes, wants, { zones })
    assert.deepEqual([chosen?.node, short], ['long', false])
    assert.deepEqual(
      reasons.map((reason) => 'by' in reason && reason.by),
      ['context', false],
    )
    const alone = placeAmong(nodes.slice(0, 1), wants, { zones })
    assert.deepEqual([alone.chosen?.node, alone.short], ['short', true])
  })

  it('is not one whose model knows other tools, or no conversation, while another will do', () => {
    const nodes = [node('closed', [offer(500, { tools: ['count'] })]), node('open', [offer(50)])]
    const tool = (name: string) => ({ name, description: '', parameters: { type: 'object' as const, properties: {} } })
    const placed = (tools: string[], among = nodes) =>
      placeAmong(among, { ...say('hi'), ...(tools.length > 0 ? { tools: tools.map(tool) } : {}) }, { zones })
    for (const tools of [['count', 'shell'], []]) {
      const { chosen, reasons } = placed(tools)
      assert.deepEqual([chosen?.node, reasons.map((reason) => 'by' in reason && reason.by)], ['open', ['tools', false]])
      // It is for the model to say what it lacks.
      assert.equal(placed(tools, nodes.slice(0, 1)).chosen?.node, 'closed')
    }
    assert.equal(placed(['count']).chosen?.node, 'closed')
  })

  it('is not one that says nonsense', () => {
    for (const said of [
      undefined,
      'fast',
      [{}],
      [{ ...offer(50), speed: { prefill: -1, decode: 1 } }],
      [{ ...offer(50), slots: Number.POSITIVE_INFINITY }],
    ])
      assert.deepEqual(offersOf([node('a', said)]), [])
  })

  it('is another when this one was just sent what it has not said yet that it has', () => {
    const sent = new Sent()
    const nodes = [node('a', [offer(50)]), node('b', [offer(25)])]
    const chosen = () => placeAmong(nodes, say('hi'), { zones, sent }).chosen?.node
    const ends = Array.from({ length: 8 }, () => sent.begin('a', 'm', []))
    for (let i = 0; i < 50; i++) assert.equal(chosen(), 'b')
    for (const end of ends) end(false)
    assert.equal(sent.count('a', 'm'), 0)
    assert.ok(Array.from({ length: 50 }, chosen).includes('a'))
  })

  it('is the one that has read the beginning already, until it is lost', () => {
    const sent = new Sent()
    const nodes = ['a', 'b', 'c'].map((name) =>
      node(name, [offer(200, { context: 8192, speed: { prefill: 300, decode: 200 } })]),
    )
    const first = say('once upon a time '.repeat(200))
    const second = { ...first, messages: [...first.messages, ...say('and then?').messages] }
    const chosen = () => placeAmong(nodes, second, { zones, sent }).chosen?.node
    sent.begin('b', 'm', blocksOf(first))(true)
    for (let i = 0; i < 50; i++) assert.equal(chosen(), 'b')
    sent.forget('b')
    assert.ok(new Set(Array.from({ length: 200 }, chosen)).size === 3)
    // What begins otherwise shares nothing.
    assert.deepEqual(sent.known('b', 'm', blocksOf(say(`x${'once upon a time '.repeat(200)}`))), [])
  })
})

describe('what computes on a GPU', () => {
  it('is a model of a node with one that does not say that it computes on the CPU', async () => {
    const mesh = await memoryMesh()
    try {
      const hardware = { accelerators: [{ name: 'a GPU' }] }
      const all = { served: 'openai:vllm', built: 'onnx', silent: undefined }
      const offers = Object.entries(all).map(([model, backend]) => offer(50, { model, ...(backend && { backend }) }))
      await mesh.join('gpu', { roles: ['inference'], advert: { zone: 'mesh', hardware, offers } })
      await mesh.join('cpu', { roles: ['inference'], advert: { zone: 'mesh', offers } })
      const asker = await mesh.join('asker', {})
      const known = await asker.directory.wait(() => {
        const found = candidates(asker)
        return found.length === 6 ? found : undefined
      }, 60_000)
      const onGpu = known?.filter(({ gpu }) => gpu).map(({ name, model }) => `${name} ${model}`)
      assert.deepEqual(onGpu, ['gpu served'])
    } finally {
      await mesh.close()
    }
  })
})
