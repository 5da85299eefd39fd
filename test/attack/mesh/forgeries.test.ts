/** I2: nobody who holds the broker, and no member that breaks the rules, gets a message taken that is not what it says. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message, nothing } from '../../../mesh/actor/message.js'
import { nodeActorName, StartActor } from '../../../mesh/actor/system.js'
import { openChain } from '../../../mesh/audit/chain.js'
import type { MeshNode } from '../../../mesh/node.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { type Frame, readFrame } from '../../../mesh/seal/frame.js'
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

  /** The first frame of a node to the victim, as the broker saw it. */
  const helloOf = ({ self }: MeshNode): Promise<Caught> =>
    firstTo(victim, (frame) => frame.type === 'hello' && frame.from === self.id)

  /** The first such frame to a node. The tap has a connection of its own: what was answered may have yet to come by it. */
  const firstTo = ({ self }: MeshNode, isMeant: (frame: Frame) => boolean): Promise<Caught> =>
    eventually(() => {
      const caught = tap.to(self).find(({ bytes }) => isMeant(readFrame(bytes)))
      assert.ok(caught)
      return caught
    })

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
      /in the name of another/,
    )
  })

  it('forged-sender: in the name of a node that does not exist', async () => {
    await refuses(
      1,
      () => traitor.send(victim.self, { from: 'f'.repeat(32) }, ['till', Pay.name, '', 12]),
      /nobody knows/,
    )
  })

  it('re-addressed-letter: to another node', async () => {
    const { bytes } = await payment(13)
    await refuses(1, () => tap.inject(friend.self, bytes), /session that is not known/)
  })

  it('re-addressed-hello: to another node', async () => {
    const stranger = await mesh.join('stranger')
    await stranger.ref('till').ask(Pay, 14)
    const hello = await helloOf(stranger)
    paid = []
    await refuses(1, () => tap.inject(friend.self, hello.bytes), /does not open/)
    await stranger.close()
  })

  it('replayed-hello: and what it carries', async () => {
    const guest = await mesh.join('guest')
    await guest.ref('till').ask(Pay, 14)
    const hello = await helloOf(guest)
    paid = []
    const repeat = () => {
      tap.inject(victim.self, hello.bytes)
      tap.inject(victim.self, hello.bytes)
    }
    await refuses(2, repeat, /a second time/)
    await guest.close()
  })

  it('bound-address: sealed for another run', async () => {
    await refuses(
      1,
      () => traitor.send(victim.self, { boundFor: friend.self.id }, ['till', Pay.name, '', 15]),
      /does not open/,
    )
  })

  it('changed-head: another session, another counter', async () => {
    const { bytes } = await payment(16)
    const changed = (at: number) => {
      const copy = new Uint8Array(bytes)
      copy[at] = (copy[at] ?? 0) ^ 0x40
      return copy
    }
    await refuses(
      2,
      () => {
        tap.inject(victim.self, changed(2))
        tap.inject(victim.self, changed(7))
      },
      /does not open|session that is not known/,
    )
  })

  it('forged-welcome: to a handshake of a session that is long made', async () => {
    const letter = readFrame((await payment(16)).bytes)
    assert.ok(letter.type === 'letter')
    const forged = Uint8Array.from([2, ...letter.head.subarray(1, 5), ...new Uint8Array(100)])
    await refuses(1, () => tap.inject(victim.self, forged), /session that is not known/)
  })

  it('flipped-bit: each bit of a frame', async () => {
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
    const call = friend.ref('till').ask(Wait, null, { timeoutMs: 120_000 })
    await eventually(() => assert.notEqual(letGo.length, 0))
    // Numbers of calls are not secret; the traitor tries all that may be.
    const calls = Array.from({ length: 60 }, (_, number) => number + 1)
    const earlier = (await tap.refusals()).length
    for (const number of calls) {
      traitor.send(friend.self, { kind: 'reply', call: number }, 'a lie')
      traitor.send(friend.self, { kind: 'error', call: number }, ['CANCELLED', 'a lie', '', {}])
      // Each is a handshake: the nodes of this process must go on saying that they are there.
      await new Promise(setImmediate)
    }
    await eventually(async () => {
      const refusals = (await tap.refusals()).slice(earlier)
      assert.equal(
        refusals.reduce((sum, { count }) => sum + count, 0),
        2,
      )
      for (const { reason } of refusals) assert.match(reason, /was not asked/)
    })
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
    const request = { definition: 'till', as: 'planted', args: undefined, supervisor: { name: 'nobody', run: 1 } }
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
    // The first goes with the handshake, the next as a letter.
    await friend.ref('nest').ask(Pay, 4)
    await friend.ref('nest').ask(Pay, 5)
    const hello = await firstTo(first, ({ type }) => type === 'hello')
    const letter = await firstTo(first, ({ type }) => type === 'letter')
    await first.close()
    const second = await mesh.join('phoenix', { credentials, chain: chain() })
    await second.spawn(nest)
    assert.equal(await friend.ref('nest').ask(Pay, 6), 3)
    await refuses(
      2,
      () => {
        tap.inject(second.self, letter.bytes)
        tap.inject(second.self, hello.bytes)
      },
      /session that is not known|does not open/,
    )
    assert.deepEqual(taken, [4, 5, 6])
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
