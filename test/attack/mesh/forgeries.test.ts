/** I2: nobody who holds the broker, and no member that breaks the rules, gets a message taken that is not what it says. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor.js'
import { openChain } from '../../../mesh/audit/chain.js'
import { decodeEnvelope, encodeEnvelope, encodeHeader } from '../../../mesh/envelope.js'
import { message, nothing } from '../../../mesh/message.js'
import type { MeshNode } from '../../../mesh/node.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { nodeActorName, StartActor } from '../../../mesh/system.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'
import { type Caught, Tap, Traitor } from './intruder.js'

const Pay = message('attack.pay', { request: z.number(), reply: z.number() })
const Wait = message('attack.wait', { request: nothing, reply: z.string() })
const Rule = message('attack.rule', { request: nothing, reply: nothing, from: ['supervisor'] })

describe('a message that is not what it says', () => {
  let mesh: NatsMesh
  let tap: Tap
  let victim: MeshNode
  let friend: MeshNode
  let traitor: Traitor
  /** Every payment that the victim took. */
  let paid: number[] = []
  let ruled = 0
  let letGo: (said: string) => void = () => undefined

  const till = actor(
    'till',
    () => [
      on(Pay, (amount) => {
        paid.push(amount)
        return amount
      }),
      on(Rule, () => {
        ruled += 1
        return null
      }),
      on(Wait, () => new Promise<string>((resolve) => (letGo = resolve))),
    ],
    { args: z.undefined(), concurrency: 8 },
  )

  before(async () => {
    mesh = await natsMesh()
    tap = await Tap.on(mesh)
    victim = await mesh.join('victim', { hosts: [till] })
    friend = await mesh.join('friend')
    await victim.spawn(till)
    const credentials = enrol(mesh.authority, { name: 'traitor', roles: ['worker'] }, Date.now())
    traitor = await Traitor.join(credentials, await mesh.connect(credentials))
    await eventually(() => assert.ok(victim.directory.node('traitor') && traitor.directory.node('victim')))
  })
  after(async () => {
    await traitor.close()
    await tap.close()
    await mesh.close()
  })

  /** A real payment, taken once, as the broker saw it. */
  async function payment(amount: number): Promise<Caught> {
    const before = tap.to(victim.self).length
    assert.equal(await friend.ref('till').ask(Pay, amount), amount)
    await eventually(() => assert.ok(tap.to(victim.self).length > before))
    const caught = tap.to(victim.self).at(-1)
    assert.ok(caught)
    paid = []
    return caught
  }

  /** Does the deed and waits until exactly `count` refusals more stand in the audit trail; nothing was paid and nothing else was refused. */
  async function refuses(count: number, deed: () => void | Promise<void>, reason: RegExp): Promise<void> {
    const earlier = await tap.refusals()
    await deed()
    await eventually(async () => {
      const later = (await tap.refusals()).slice(earlier.length)
      assert.equal(
        later.reduce((sum, refusal) => sum + refusal.count, 0),
        count,
      )
      for (const refusal of later) assert.match(refusal.reason, reason)
    })
    assert.deepEqual(paid, [])
    // And the node lives on.
    assert.equal(await friend.ref('till').ask(Pay, 1), 1)
    paid = []
  }

  it('an honest message by the same means is taken', async () => {
    traitor.send(victim.self, {}, ['till', Pay.name, '', 77])
    await eventually(() => assert.deepEqual(paid, [77]))
    paid = []
  })

  it('replayed-envelope', async () => {
    const { bytes } = await payment(10)
    await refuses(
      3,
      () => {
        for (let time = 0; time < 3; time += 1) tap.inject(victim.self, bytes)
      },
      /a second time/,
    )
  })

  it('forged-sender: sealed by a member, in the name of another', async () => {
    await refuses(
      1,
      () => traitor.send(victim.self, { from: friend.self.id }, ['till', Pay.name, '', 11]),
      /does not open/,
    )
  })

  it('forged-sender: in the name of a node that does not exist', async () => {
    await refuses(
      1,
      () => traitor.send(victim.self, { from: 'f'.repeat(32) }, ['till', Pay.name, '', 12]),
      /nobody knows/,
    )
  })

  it('re-addressed-subject: to another node, under its header', async () => {
    const { bytes } = await payment(13)
    await refuses(1, () => tap.inject(friend.self, bytes), /addressed to another node/)
  })

  it('re-addressed-header: and with the header changed to that node', async () => {
    const { bytes } = await payment(14)
    const { header, sealed } = decodeEnvelope(bytes)
    const moved = encodeEnvelope(encodeHeader({ ...header, to: friend.self.id }), sealed)
    await refuses(1, () => tap.inject(friend.self, moved), /does not open/)
  })

  it('bound-subject: sealed for another address', async () => {
    const elsewhere = tap.addresses.inbox(friend.self)
    await refuses(1, () => traitor.send(victim.self, {}, ['till', Pay.name, '', 15], elsewhere), /does not open/)
  })

  it('changed-header: every field of it', async () => {
    const { bytes } = await payment(16)
    const { header, sealed } = decodeEnvelope(bytes)
    const changes = [
      { kind: 'tell' as const },
      { call: header.call + 1 },
      { id: '0'.repeat(32) },
      { sent: header.sent + 1 },
      { deadline: header.deadline + 60_000 },
      { from: traitor.self.id },
    ]
    const send = () => {
      for (const change of changes)
        tap.inject(victim.self, encodeEnvelope(encodeHeader({ ...header, ...change }), sealed))
    }
    await refuses(changes.length, send, /does not open/)
  })

  it('flipped-bit: each bit of an envelope', async () => {
    const { bytes } = await payment(17)
    const send = () => {
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = bytes.slice()
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        tap.inject(victim.self, flipped)
      }
    }
    await refuses(bytes.length * 8, send, /./)
  })

  it('truncated: at each length', async () => {
    const { bytes } = await payment(18)
    const send = () => {
      for (let length = 0; length < bytes.length; length += 1) tap.inject(victim.self, bytes.slice(0, length))
    }
    await refuses(bytes.length, send, /./)
  })

  it('old-message: sent a minute ago, never seen before', async () => {
    const sent = Date.now() - 60_000
    await refuses(1, () => traitor.send(victim.self, { kind: 'tell', sent }, ['till', Pay.name, '', 19]), /behind ours/)
  })

  it('message-from-the-future', async () => {
    const sent = Date.now() + 60_000
    await refuses(
      1,
      () => traitor.send(victim.self, { kind: 'tell', sent }, ['till', Pay.name, '', 20]),
      /ahead of ours/,
    )
  })

  it('answer-from-another-node: to the number of a call that is waiting', async () => {
    const call = friend.ref('till').ask(Wait, null)
    await eventually(() => assert.notEqual(letGo.length, 0))
    const open = tap.to(victim.self).at(-1)
    assert.ok(open)
    const { header } = decodeEnvelope(open.bytes)
    await refuses(
      2,
      () => {
        traitor.send(friend.self, { kind: 'reply', call: header.call }, 'a lie')
        traitor.send(friend.self, { kind: 'error', call: header.call }, ['CANCELLED', 'a lie', '', {}])
      },
      /was not asked/,
    )
    letGo('the truth')
    assert.equal(await call, 'the truth')
  })

  it('role-escalation: a member sends what its role may not', async () => {
    const answer = await refusedTo(() => traitor.send(victim.self, { call: 40 }, ['till', Rule.name, '', null]))
    assert.match(answer, /attack\.rule/)
    assert.equal(ruled, 0)
    await friend.ref('till').ask(Rule, null)
    assert.equal(ruled, 1)
  })

  it('role-escalation: a worker has an actor started', async () => {
    const request = { definition: 'till', as: 'planted', args: undefined, supervisor: 'nobody' }
    await refusedTo(() =>
      traitor.send(victim.self, { call: 41 }, [nodeActorName('victim'), StartActor.name, '', request]),
    )
    assert.equal(victim.directory.locate('planted'), undefined)
  })

  it('old-incarnation: what was sent to a run that has ended means nothing to the next', async () => {
    const credentials = enrol(mesh.authority, { name: 'phoenix', roles: ['worker'] }, Date.now())
    const chain = () => openChain(join(mesh.folder, 'phoenix.chain'))
    const first = await mesh.join('phoenix', { credentials, chain: chain() })
    const taken: number[] = []
    const nest = actor('nest', () => [on(Pay, (amount) => taken.push(amount))])
    await first.spawn(nest)
    await friend.ref('nest').ask(Pay, 5)
    const [recorded] = tap.to(first.self).slice(-1)
    assert.ok(recorded)
    await first.close()
    const second = await mesh.join('phoenix', { credentials, chain: chain() })
    await second.spawn(nest)
    assert.equal(await friend.ref('nest').ask(Pay, 6), 2)
    const { header, sealed } = decodeEnvelope(recorded.bytes)
    await refuses(
      2,
      () => {
        tap.inject(second.self, recorded.bytes)
        tap.inject(second.self, encodeEnvelope(encodeHeader({ ...header, to: second.self.id }), sealed))
      },
      /addressed to another node|does not open/,
    )
    assert.deepEqual(taken, [5, 6])
    await second.close()
  })

  /** The reason of the one refusal that the deed leads to. */
  async function refusedTo(deed: () => void): Promise<string> {
    const earlier = (await tap.refusals()).length
    deed()
    let reason = ''
    await eventually(async () => {
      const [refusal, ...more] = (await tap.refusals()).slice(earlier)
      assert.ok(refusal)
      assert.deepEqual([refusal.code, refusal.node, more], ['DENIED', 'traitor', []])
      reason = refusal.reason
    })
    return reason
  }
})
