/** The keys of a room by themselves: what somebody can open who has some of them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Announcement } from '../../../mesh/room/announcement.js'
import { readAnnouncement } from '../../../mesh/room/announcement.js'
import { readRoomFrame } from '../../../mesh/room/frame.js'
import { Hearing } from '../../../mesh/room/hearing.js'
import { keyBatches, keyMs, Voice } from '../../../mesh/room/voice.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { beginIncarnation } from '../../../mesh/seal/incarnation.js'

const room = '7'.repeat(32)

describe('a publisher’s keys in a room', () => {
  const credentials = enrol(createAuthority(), { name: 'ada', roles: ['worker'] }, Date.now())
  const ada = beginIncarnation(credentials)

  function stand(now: () => number = Date.now) {
    const voice = new Voice({ room, publisher: ada.id, signing: credentials.signing, now })
    const keyOf = (epoch: number): Announcement => {
      const { said } = readAnnouncement(voice.begin(epoch))
      return { ...said, key: Uint8Array.from(said.key) }
    }
    const say = (text: string) => readRoomFrame(voice.seal(Buffer.from(text), Date.now() + 1000))
    return { voice, keyOf, say }
  }

  const copyOf = (said: Announcement): Announcement => ({ ...said, key: Uint8Array.from(said.key) })

  function heard(hearing: Hearing): string[] {
    const texts: string[] = []
    for (let opened = hearing.open(); opened; opened = hearing.open()) texts.push(Buffer.from(opened.plain).toString())
    return texts
  }

  it('open nothing of another epoch, before or after', () => {
    const { keyOf, say } = stand()
    const first = keyOf(1)
    const early = [say('a'), say('b')]
    const second = keyOf(2)
    const late = [say('c'), say('d')]
    const left = new Hearing(ada, 1)
    left.announce(copyOf(first), 0)
    for (const frame of [...early, ...late]) left.hold(frame)
    assert.deepEqual(heard(left), ['a', 'b'])
    // With the key that it has in the place of the one that it was not told.
    left.announce({ ...copyOf(first), epoch: 2, first: 2 }, 0)
    assert.throws(() => left.open(), { code: 'UNAUTHENTIC' })
    const joined = new Hearing(ada, 2)
    joined.announce(copyOf(second), 2)
    for (const frame of early) assert.throws(() => joined.check(frame), /second time/)
    for (const frame of late) joined.hold(frame)
    assert.deepEqual(heard(joined), ['c', 'd'])
  })

  it('open each batch once, and none before', () => {
    const { keyOf, say } = stand()
    const hearing = new Hearing(ada, 1)
    hearing.announce(keyOf(1), 0)
    const frames = ['a', 'b', 'c'].map(say)
    for (const frame of frames) hearing.hold(frame)
    assert.deepEqual(heard(hearing), ['a', 'b', 'c'])
    for (const frame of frames) assert.throws(() => hearing.check(frame), /second time/)
    assert.equal(hearing.isStuck, false)
  })

  it('are over with their list', () => {
    const { keyOf, say } = stand()
    const hearing = new Hearing(ada, 1)
    hearing.announce(keyOf(1), 0)
    hearing.hold(say('a'))
    hearing.retire(2)
    assert.deepEqual(heard(hearing), [])
    assert.equal(hearing.giveUp(), 1)
  })

  it('wait for a batch that is missing, and go on without it where it is given up', () => {
    const { keyOf, say } = stand()
    const hearing = new Hearing(ada, 1)
    hearing.announce(keyOf(1), 0)
    const [, b, c] = ['a', 'b', 'c'].map(say)
    assert.ok(b && c)
    hearing.hold(c)
    hearing.hold(b)
    assert.deepEqual([heard(hearing), hearing.gap], [[], { from: 0, to: 1 }])
    assert.equal(hearing.giveUp(), 1)
    assert.deepEqual(heard(hearing), ['b', 'c'])
    hearing.reached(5)
    assert.deepEqual(hearing.gap, { from: 3, to: 5 })
  })

  it('are said once for each place', () => {
    const { keyOf } = stand()
    const said = keyOf(1)
    const hearing = new Hearing(ada, 1)
    hearing.announce(copyOf(said), 0)
    hearing.announce(copyOf(said), 0)
    assert.throws(() => hearing.announce({ ...copyOf(said), key: new Uint8Array(32) }, 0), { code: 'UNAUTHENTIC' })
  })

  it('are renewed with each list of members, after so many batches, after so long, and when one is distrusted', () => {
    let now = 0
    const { voice, keyOf, say } = stand(() => now)
    assert.ok(voice.isDue(1))
    keyOf(1)
    assert.ok(!voice.isDue(1) && voice.isDue(2))
    now = keyMs
    assert.ok(voice.isDue(1))
    keyOf(1)
    for (let batch = 0; batch < keyBatches; batch += 1) say('x')
    assert.ok(voice.isDue(1))
    keyOf(1)
    assert.ok(!voice.isDue(1))
    voice.give()
    assert.ok(voice.isDue(1))
  })
})
