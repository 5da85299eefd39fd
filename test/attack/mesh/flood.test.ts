/** Thousands of seeded malformed messages: none is taken, each is counted in the audit trail, few events tell of many, memory stays bounded. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message } from '../../../mesh/actor/message.js'
import { encode } from '../../../mesh/codec.js'
import type { MeshNode } from '../../../mesh/node.js'
import { helloFrame, readFrame } from '../../../mesh/seal/frame.js'
import { hex } from '../../../mesh/seal/keys.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'
import { seededRandom, wholeBelow } from '../../kit/random.js'
import { Tap } from './intruder.js'

const Count = message('attack.add', { request: z.number(), reply: z.number() })

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

describe('a flood', () => {
  let mesh: NatsMesh
  let tap: Tap
  let victim: MeshNode
  let friend: MeshNode
  let handled = 0

  before(async () => {
    mesh = await natsMesh()
    tap = await Tap.on(mesh)
    victim = await mesh.join('victim')
    friend = await mesh.join('friend')
    await victim.spawn(actor('adder', () => [on(Count, () => (handled += 1))]))
    await friend.ref('adder').ask(Count, 1)
    await friend.ref('adder').ask(Count, 1)
  })
  after(async () => {
    await tap.close()
    await mesh.close()
  })

  const counted = (total: number) => eventually(async () => assert.equal(await tap.refused(), total), 120_000)

  it('of 10,000 mutated messages: each refused and counted, none taken', async () => {
    const seed = Number(process.env['CLAWMESH_SEED'] ?? 7)
    const random = seededRandom(seed)
    // By a connection of its own, the tap may have yet to get what was answered.
    const frames = await eventually(() => {
      const caught = tap.to(victim.self).map(({ bytes }) => bytes)
      return (['hello', 'letter'] as const).map(
        (type) => caught.find((bytes) => readFrame(bytes).type === type) ?? assert.fail(`no ${type} has come`),
      )
    })
    const before = { handled, events: (await tap.refusals()).length, total: await tap.refused() }
    const ways = frames.flatMap((frame) => mutations(frame, random))
    for (let sent = 0; sent < 10_000; sent += 1) {
      const mutate = ways[sent % ways.length]
      assert.ok(mutate)
      tap.inject(victim.self, mutate())
      if (sent % 250 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await counted(before.total + 10_000)
    assert.equal(handled, before.handled, `seed ${seed}: a mutated message was taken`)
    const events = (await tap.refusals()).length - before.events
    assert.ok(events < 200, `${events} audit events tell of one flood`)
    assert.equal(await friend.ref('adder').ask(Count, 1), handled)
  })

  it('of large letters from strangers: held in bounded memory, then refused', async () => {
    const before = { total: await tap.refused(), handled }
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    const body = new Uint8Array(800_000)
    let most = 0
    // 240 MB in all; each names a sender that nobody knows, and so would wait for its introduction.
    for (let sent = 0; sent < 300; sent += 1) {
      const from = hex(encode([sent])).padStart(32, '0')
      tap.inject(victim.self, helloFrame(from, body))
      if (sent % 10 !== 9) continue
      // Until the victim, in this process too, has taken them from the wire.
      await friend.ref('adder').ask(Count, 1)
      tap.caught.length = 0
      collectGarbage()
      const used = process.memoryUsage()
      most = Math.max(most, used.heapUsed + used.external - heapUsed - external)
    }
    assert.ok(most < 160e6, `${Math.round(most / 1e6)} MB were held`)
    await counted(before.total + 300)
    assert.equal(handled, before.handled + 30)
  })
})

function mutations(real: Uint8Array, random: () => number): (() => Uint8Array)[] {
  const below = (limit: number) => wholeBelow(random, limit)
  const bytes = (length: number) => Uint8Array.from({ length }, () => below(256))
  /** The start of the frame as it is, the rest anything. */
  const headed = (length: number) => Uint8Array.from([...real.subarray(0, length), ...bytes(below(300))])
  return [
    () => bytes(below(600)),
    // Bits flipped anywhere, at least one.
    () => {
      const copy = real.slice()
      const places = new Set(Array.from({ length: 1 + below(8) }, () => below(real.length * 8)))
      for (const bit of places) copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      return copy
    },
    () => real.slice(0, below(real.length)),
    () => Uint8Array.from([...real, ...bytes(1 + below(50))]),
    // A piece cut out of the middle.
    () => {
      const from = below(real.length - 1)
      const to = from + 1 + below(real.length - from - 1)
      return Uint8Array.from([...real.slice(0, from), ...real.slice(to)])
    },
    () => headed(1),
    () => headed(5),
    () => headed(9),
    () => headed(17),
    // Another type on top.
    () => Uint8Array.from([1 + below(4), ...real.subarray(1)]),
    () => Uint8Array.from([below(256), ...bytes(below(5))]),
    // Lengths that promise more than there is: arrays, maps, bytes, strings of up to 4 GB; and deep nesting.
    () =>
      Uint8Array.from([[0xdd, 0xdf, 0xc6, 0xdb][below(4)] ?? 0xdd, 0xff, 0xff, 0xff, below(256), ...bytes(below(20))]),
    () => new Uint8Array(1 + below(5000)).fill(0x91),
  ]
}
