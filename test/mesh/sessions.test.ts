/** Sessions between runs that are joined by a wire of the test's own, which loses, forges and swaps as it is told. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { addressesOf } from '../../mesh/address.js'
import { decodeLetters, encodeLetter } from '../../mesh/post/letter.js'
import { Sessions } from '../../mesh/post/sessions.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { readFrame } from '../../mesh/seal/frame.js'
import { beginIncarnation, type Incarnation } from '../../mesh/seal/incarnation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'

const authority = createAuthority()
const addresses = addressesOf(authority.mesh, authority.meshKey)
const deadline = Date.now() + 60_000

interface Side {
  self: Incarnation
  sessions: Sessions
  heard: unknown[]
  undelivered: string[]
  refused: string[]
  /** Of each report, how many frames have not come. */
  missing: number[]
  /** Types of the frames that it sent. */
  sent: string[]
}

describe('sessions', () => {
  let sides: Side[] = []
  /** What the wire does with a frame; delivers it if nothing else is said. */
  let wire: (deliver: () => void, type: string, frame: Uint8Array) => void = (deliver) => deliver()
  let elapsed = 0
  let clocks: Record<string, number> = {}

  afterEach(() => {
    for (const { sessions } of sides) sessions.close()
    sides = []
    wire = (deliver) => deliver()
    clocks = {}
  })

  function join(name: string): Side {
    const self = beginIncarnation(enrol(authority, { name, roles: ['worker'] }, Date.now()))
    const side: Side = {
      self,
      heard: [],
      undelivered: [],
      refused: [],
      missing: [],
      sent: [],
      sessions: undefined as never,
    }
    side.sessions = new Sessions({
      self,
      addresses,
      publish: (peer, frame) => {
        const { type } = readFrame(frame)
        side.sent.push(type)
        const to = sides.find((other) => other.self.id === peer.id)
        wire(() => to && receive(to, frame), type, frame)
      },
      undeliverable: (_, __, error) => side.undelivered.push(error.code),
      missing: (_, frames) => side.missing.push(frames),
      now: () => Date.now() + (clocks[name] ?? 0),
      elapsed: () => elapsed,
    })
    sides.push(side)
    return side
  }

  function receive(side: Side, bytes: Uint8Array): void {
    try {
      const frame = readFrame(bytes)
      if (frame.type === 'welcome') return side.sessions.confirm(frame)
      const id = frame.type === 'hello' ? frame.from : side.sessions.claimedBy(frame)
      const peer = sides.find(({ self }) => self.id === id)?.self
      assert.ok(peer)
      const letters = frame.type === 'hello' ? side.sessions.answer(peer, frame) : side.sessions.open(frame)
      for (const { body } of decodeLetters(peer, letters)) side.heard.push(body)
    } catch (error) {
      side.refused.push(ClawmeshError.from(error).message)
    }
  }

  const say = (from: Side, to: Side, body: unknown) =>
    from.sessions.send(to.self, encodeLetter('tell', 0, deadline, body))
  const numbers = (count: number) => Array.from({ length: count }, (_, number) => number)

  it('begins with the first letter in the hello, and keeps the order of all that follows', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    for (const number of numbers(500)) {
      say(ann, bob, number)
      if (number % 7 === 0) await setImmediate()
    }
    await eventually(() => assert.equal(bob.heard.length, 500))
    assert.deepEqual(bob.heard, numbers(500))
    assert.equal(ann.sent.filter((type) => type === 'hello').length, 1)
  })

  it('keeps the order when both begin at once', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    const held: (() => void)[] = []
    wire = (deliver) => held.push(deliver)
    for (const number of numbers(50)) {
      say(ann, bob, number)
      say(bob, ann, 100 + number)
      await setImmediate()
      if (number % 5 === 0) for (const deliver of held.splice(0)) deliver()
    }
    while (held.length > 0) {
      for (const deliver of held.splice(0)) deliver()
      await setImmediate()
    }
    assert.deepEqual(bob.heard, numbers(50))
    assert.deepEqual(
      ann.heard,
      numbers(50).map((number) => 100 + number),
    )
    assert.deepEqual([ann.refused, bob.refused], [[], []])
  })

  it('seals what is said in one turn as one', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    say(ann, bob, 'first')
    await setImmediate()
    for (const number of numbers(200)) say(ann, bob, number)
    await setImmediate()
    assert.equal(bob.heard.length, 201)
    assert.deepEqual(ann.sent, ['hello', 'letter'])
  })

  it('says how much the broker dropped, and not what came late', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    say(ann, bob, 'first')
    await setImmediate()
    const late: (() => void)[] = []
    let count = 0
    wire = (deliver) => {
      count += 1
      if (count === 2) late.push(deliver)
      else if (count !== 4 && count !== 5) deliver()
    }
    for (const number of numbers(7)) {
      say(ann, bob, number)
      await setImmediate()
    }
    for (const deliver of late) deliver()
    await eventually(() => assert.deepEqual(bob.missing, [2]))
    assert.deepEqual(bob.heard, ['first', 0, 2, 5, 6, 1])
  })

  it('renews after two minutes without a halt, and forgets the old keys after four', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    const recorded: (() => void)[] = []
    wire = (deliver, type) => {
      if (type === 'letter') recorded.push(deliver)
      deliver()
    }
    say(ann, bob, 1)
    await setImmediate()
    say(ann, bob, 2)
    await setImmediate()
    elapsed += 121_000
    say(ann, bob, 3)
    say(ann, bob, 4)
    await setImmediate()
    say(ann, bob, 5)
    await setImmediate()
    assert.deepEqual(bob.heard, [1, 2, 3, 4, 5])
    assert.deepEqual(ann.sent, ['hello', 'letter', 'hello', 'letter'])
    recorded[0]?.()
    assert.deepEqual(bob.refused, ['A message arrived a second time.'])
    elapsed += 120_000
    recorded[0]?.()
    assert.match(bob.refused.at(-1) ?? '', /not known/)
  })

  it('renews after 65,536 letters', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    for (let sent = 0; sent < 2 ** 16 + 10; sent += 1) {
      say(ann, bob, sent)
      await new Promise((resolve) => process.nextTick(resolve))
    }
    await eventually(() => assert.equal(bob.heard.length, 2 ** 16 + 10))
    assert.equal(ann.sent.filter((type) => type === 'hello').length, 2)
    assert.deepEqual(bob.heard, numbers(2 ** 16 + 10))
  })

  it('begins anew with what waits when nobody answers a hello', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    let lost = 0
    wire = (deliver, type) => (type === 'hello' && lost++ === 0 ? undefined : deliver())
    say(ann, bob, 'lost')
    await setImmediate()
    say(ann, bob, 'kept')
    ann.sessions.renew(bob.self)
    await eventually(() => assert.deepEqual(bob.heard, ['kept']))
    assert.equal(lost, 2)
  })

  it('takes no answer but the true one', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    let answer: (() => void) | undefined
    wire = (deliver, type, frame) => {
      if (type !== 'welcome') return deliver()
      answer = deliver
      for (const at of [5, 40, frame.length - 1]) {
        const forged = frame.slice()
        forged[at] = (forged[at] ?? 0) ^ 1
        receive(ann, forged)
      }
    }
    say(ann, bob, 'one')
    await setImmediate()
    say(ann, bob, 'two')
    await setImmediate()
    assert.deepEqual(bob.heard, ['one'])
    assert.equal(ann.refused.length, 3)
    for (const reason of ann.refused) assert.match(reason, /does not open/)
    answer?.()
    assert.deepEqual(bob.heard, ['one', 'two'])
    answer?.()
    assert.match(ann.refused.at(-1) ?? '', /not known/)
  })

  it('takes a true answer that comes late, and what was sealed under it', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    const held: (() => void)[] = []
    wire = (deliver, _, frame) => {
      // What bob sends stays on the way while ann has given up waiting.
      if (readFrame(frame).type === 'hello') deliver()
      else held.push(deliver)
    }
    say(ann, bob, 'question')
    await setImmediate()
    say(bob, ann, 'answer')
    await setImmediate()
    ann.sessions.renew(bob.self)
    for (const deliver of held.splice(0)) deliver()
    assert.deepEqual(ann.heard, ['answer'])
    assert.deepEqual(ann.refused, [])
  })

  it('tells both sides when their clocks differ', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    clocks = { ann: 86_400_000 }
    say(ann, bob, 'from tomorrow')
    await eventually(() => assert.deepEqual(ann.undelivered, ['CLOCK_SKEW']))
    assert.match(bob.refused.join(), /ahead of ours/)
    assert.match(ann.refused.join(), /behind ours/)
    assert.deepEqual(bob.heard, [])
    clocks = {}
    say(ann, bob, 'now')
    await eventually(() => assert.deepEqual(bob.heard, ['now']))
  })

  it('keeps few sessions of a peer that begins ever new ones, and talks on with it', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    const early: (() => void)[] = []
    wire = (deliver, type) => {
      if (type === 'letter') early.push(deliver)
      deliver()
    }
    say(ann, bob, 0)
    await setImmediate()
    say(ann, bob, 1)
    await setImmediate()
    for (let number = 2; number < 40; number += 1) {
      ann.sessions.renew(bob.self)
      say(ann, bob, number)
      await setImmediate()
    }
    assert.deepEqual(bob.heard, numbers(40))
    // The session of the first letter is not known any more.
    early[0]?.()
    assert.match(bob.refused.at(-1) ?? '', /not known/)
    say(bob, ann, 'still here')
    await setImmediate()
    assert.deepEqual(ann.heard, ['still here'])
  })

  it('holds a bounded amount for one who does not answer, and says so', async () => {
    const [ann, bob] = [join('ann'), join('bob')]
    wire = () => undefined
    say(ann, bob, 'hello')
    await setTimeout(1)
    const full = (error: unknown) => error instanceof ClawmeshError && error.code === 'UNREACHABLE'
    assert.throws(() => {
      for (;;) say(ann, bob, new Uint8Array(100_000))
    }, full)
    ann.sessions.lose(bob.self)
    wire = (deliver) => deliver()
    say(ann, bob, 'back')
    await eventually(() => assert.deepEqual(bob.heard, ['back']))
  })
})
