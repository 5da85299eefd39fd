/** Thousands of seeded malformed messages: none is taken, each is counted in the audit trail, few events tell of many, memory stays bounded. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor.js'
import { encode } from '../../../mesh/codec.js'
import { decodeEnvelope, encodeEnvelope, encodeHeader, newMessageId } from '../../../mesh/envelope.js'
import { message } from '../../../mesh/message.js'
import type { MeshNode } from '../../../mesh/node.js'
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
  })
  after(async () => {
    await tap.close()
    await mesh.close()
  })

  const counted = (total: number) => eventually(async () => assert.equal(await tap.refused(), total), 30_000)

  it('of 4,000 mutated messages: each refused and counted, none taken', async () => {
    const seed = Number(process.env['CLAWMESH_SEED'] ?? 7)
    const random = seededRandom(seed)
    const [real] = tap.to(victim.self)
    assert.ok(real)
    const before = { handled, events: (await tap.refusals()).length, total: await tap.refused() }
    const ways = mutations(real.bytes, random)
    for (let sent = 0; sent < 4000; sent += 1) {
      const mutate = ways[sent % ways.length]
      assert.ok(mutate)
      tap.inject(victim.self, mutate())
      if (sent % 250 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await counted(before.total + 4000)
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
      const now = Date.now()
      const from = hex(encode([sent])).padStart(32, '0')
      const header = {
        kind: 'ask' as const,
        from,
        to: victim.self.id,
        id: newMessageId(),
        call: 1,
        sent: now,
        deadline: now + 9000,
      }
      tap.inject(victim.self, encodeEnvelope(encodeHeader(header), body))
      if (sent % 10 !== 9) continue
      // Until the victim, in this process too, has taken them from the wire.
      await friend.ref('adder').ask(Count, 1)
      tap.caught.length = 0
      collectGarbage()
      const used = process.memoryUsage()
      most = Math.max(most, used.heapUsed + used.external - heapUsed - external)
    }
    assert.ok(most < 120e6, `${Math.round(most / 1e6)} MB were held`)
    await counted(before.total + 300)
    assert.equal(handled, before.handled + 30)
  })
})

function mutations(real: Uint8Array, random: () => number): (() => Uint8Array)[] {
  const below = (limit: number) => wholeBelow(random, limit)
  const bytes = (length: number) => Uint8Array.from({ length }, () => below(256))
  const { header, sealed } = decodeEnvelope(real)
  const withHeader = (fields: unknown[]) => encodeEnvelope(encode(fields), sealed)
  const wild = (): unknown =>
    [null, -1, 2 ** 53, Number.NaN, '', 'x'.repeat(below(2000)), [], {}, bytes(below(40)), true, [[[[]]]]][below(11)]
  const fields = () => [1, 1, header.from, header.to, header.id, header.call, header.sent, header.deadline] as unknown[]
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
    // One field of the header is anything.
    () => {
      const changed = fields()
      changed[below(changed.length)] = wild()
      return withHeader(changed)
    },
    () => withHeader(fields().slice(0, below(8))),
    () => withHeader([...fields(), wild()]),
    () => encode(wild()),
    () => encode([wild(), wild()]),
    // Lengths that promise more than there is: arrays, maps, bytes, strings of up to 4 GB; and deep nesting.
    () =>
      Uint8Array.from([[0xdd, 0xdf, 0xc6, 0xdb][below(4)] ?? 0xdd, 0xff, 0xff, 0xff, below(256), ...bytes(below(20))]),
    () => new Uint8Array(1 + below(5000)).fill(0x91),
    () => encodeEnvelope(encode(fields()), bytes(below(200))),
  ]
}
