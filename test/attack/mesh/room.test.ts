/** Somebody with every right on the broker, and a member that keeps to no rule, against a room: nothing is taken that is not what it says. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import type { ActorRef } from '../../../mesh/actor/ref.js'
import { Ratchet } from '../../../mesh/audit/ratchet.js'
import { Refusals } from '../../../mesh/calls/refusals.js'
import { encode } from '../../../mesh/codec.js'
import type { MeshNode } from '../../../mesh/node.js'
import { type Announcement, writeAnnouncement } from '../../../mesh/room/announcement.js'
import { writeRoomFrame } from '../../../mesh/room/frame.js'
import { Hearing } from '../../../mesh/room/hearing.js'
import { RoomKey, RoomRoster, roomsActorName } from '../../../mesh/room/messages.js'
import type { Room } from '../../../mesh/room/room.js'
import { writeRoster } from '../../../mesh/room/roster.js'
import { sealWith } from '../../../mesh/seal/box.js'
import { type Credentials, enrol } from '../../../mesh/seal/credentials.js'
import { writeRevocations } from '../../../mesh/seal/revocation.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'
import { Canaries } from './canary.js'
import { type Caught, Tap } from './intruder.js'

describe('a room under attack', () => {
  let mesh: NatsMesh
  let tap: Tap
  let broker: NatsTransport
  let boss: MeshNode
  let ada: MeshNode
  let bob: MeshNode
  let mallory: MeshNode
  const papers = new Map<string, Credentials>()
  /** Keys of all publishers, as any member learns them. */
  const learned: (Announcement & { by: Hearing })[] = []
  const announce = Hearing.prototype.announce
  /** What any node counted as refused, at once; the audit trail has it within a second. */
  const refused: string[] = []
  const count = Refusals.prototype.count

  before(async () => {
    Refusals.prototype.count = function (code, reason, node) {
      refused.push(reason)
      count.call(this, code, reason, node)
    }
    Hearing.prototype.announce = function (said, from) {
      learned.push({ ...said, key: Uint8Array.from(said.key), by: this })
      announce.call(this, said, from)
    }
    mesh = await natsMesh()
    tap = await Tap.on(mesh)
    broker = await mesh.connectAsAuthority()
    boss = await certified('boss')
    ada = await certified('ada')
    bob = await certified('bob')
    mallory = await certified('mallory')
    await eventually(() => {
      for (const node of [boss, ada, bob, mallory]) assert.equal(node.nodes().length, 4)
    })
  })
  after(async () => {
    Hearing.prototype.announce = announce
    Refusals.prototype.count = count
    await broker.close()
    await tap.close()
    await mesh.close()
  })

  async function certified(name: string): Promise<MeshNode> {
    const credentials = enrol(mesh.authority, { name, roles: ['supervisor', 'worker'] }, Date.now())
    papers.set(name, credentials)
    return mesh.join(name, { credentials })
  }

  async function open(name: string): Promise<{ held: Room; adas: Room; bobs: Room; heard: string[] }> {
    const held = await boss.openRoom(name, ['ada', 'bob', 'mallory'])
    const bobs = await bob.room(name, 'boss')
    const heard: string[] = []
    void (async () => {
      for await (const { node, value } of bobs.subscribe(z.string())) heard.push(`${node}: ${value}`)
    })().catch(() => undefined)
    return { held, adas: await ada.room(name, 'boss'), bobs, heard }
  }

  const toBob = (room: Room, publisher: MeshNode) =>
    tap.addresses.room(bob.self.certificate.holder, room.id, publisher.self.certificate.holder)
  /** The first post of ada's to bob, as the broker saw it. */
  const caught = (room: Room): Promise<Caught> =>
    eventually(() => {
      const post = tap.caught.find(({ subject }) => subject === toBob(room, ada))
      assert.ok(post)
      return post
    })

  /** Exactly so many more are refused for this reason when the deed is done, and nothing was heard by it. */
  async function refuses(heard: string[], count: number, deed: () => void | Promise<void>, reason: RegExp) {
    const [before, said] = [refused.length, [...heard]]
    await deed()
    await eventually(() => assert.equal(refused.slice(before).filter((text) => reason.test(text)).length, count))
    assert.deepEqual(heard, said)
  }

  it('the broker sees neither what is said in it nor what it is called', async () => {
    const canary = 'Kanarienvogel-4711'
    const { adas, heard } = await open(`room of the ${canary}`)
    await adas.publish(canary)
    await eventually(() => assert.deepEqual(heard, [`ada: ${canary}`]))
    await caught(adas)
    const search = new Canaries([canary])
    assert.deepEqual(
      tap.caught.flatMap(({ subject, bytes }) => [
        ...search.search('subject', Buffer.from(subject)),
        ...search.search(subject, bytes),
      ]),
      [],
    )
  })

  it('replayed-post, to its member and into another room', async () => {
    const { adas, heard } = await open('replay')
    const other = await open('other')
    await adas.publish('once')
    await eventually(() => assert.deepEqual(heard, ['ada: once']))
    const post = await caught(adas)
    await refuses(heard, 2, () => [1, 2].forEach(() => void broker.publish(post.subject, post.bytes)), /a second time/)
    const moved = Uint8Array.from(post.bytes)
    moved.set(Buffer.from(other.held.id, 'hex'), 1)
    await refuses(other.heard, 1, () => broker.publish(toBob(other.held, ada), moved), /did not sign/)
    await adas.publish('twice')
    await eventually(() => assert.deepEqual(heard, ['ada: once', 'ada: twice']))
  })

  it('changed-post: each part of it', async () => {
    const { adas, heard } = await open('changed')
    await adas.publish('true')
    await eventually(() => assert.deepEqual(heard, ['ada: true']))
    const post = await caught(adas)
    // Epoch, key, number, deadline, signature, sealed; as the next one, so that it is not refused for its number.
    const next = Uint8Array.from(post.bytes)
    next[41] = 1
    const parts = [next, ...[46, 52, 60, 116, next.length - 1].map((at) => flipped(next, at))]
    await refuses(
      heard,
      parts.length,
      () => parts.forEach((bytes) => void broker.publish(post.subject, bytes)),
      /did not sign/,
    )
    for (const length of [0, 1, 53, 117]) {
      await refuses(heard, 1, () => broker.publish(post.subject, post.bytes.subarray(0, length)), /no post of a room/)
    }
  })

  it('forged-post: sealed by a member under the key of another, in her name', async () => {
    const { adas, heard } = await open('forged')
    await adas.publish('true')
    await eventually(() => assert.deepEqual(heard, ['ada: true']))
    const key = learned.find(({ room, publisher }) => room === adas.id && publisher === ada.self.id)
    assert.ok(key)
    const forge = (signer: string) => {
      const signing = papers.get(signer)?.signing
      assert.ok(signing)
      const chain = new Ratchet(Uint8Array.from(key.key))
      chain.skip(1)
      const deadline = Date.now() + 60_000
      const head = { room: adas.id, publisher: ada.self.id, epoch: key.epoch, first: key.first, number: 1, deadline }
      const plain = encode([[deadline, 'a lie']])
      return chain.step((once) => writeRoomFrame(head, (bound) => sealWith(once, plain, bound), signing))
    }
    const lie = forge('mallory')
    await refuses(heard, 1, () => broker.publish(toBob(adas, ada), lie), /did not sign/)
    // On her own subject, as the broker lets her.
    await refuses(heard, 1, () => broker.publish(toBob(adas, mallory), lie), /in the name of another/)
    // It is the signature that was missing, and nothing else.
    broker.publish(toBob(adas, ada), forge('ada'))
    await eventually(() => assert.deepEqual(heard, ['ada: true', 'ada: a lie']))
  })

  it('forged-key: announced by a member in the name of another, and a second one for one place', async () => {
    const { adas, heard } = await open('keys')
    await adas.publish('true')
    await eventually(() => assert.deepEqual(heard, ['ada: true']))
    const said = { room: adas.id, publisher: ada.self.id, epoch: adas.epoch, first: 1, key: new Uint8Array(32) }
    const rooms = (from: MeshNode): ActorRef => from.ref(roomsActorName('bob'))
    const by = (name: string) => writeAnnouncement(said, papers.get(name)?.signing ?? assert.fail())
    const foreign = rooms(mallory).ask(RoomKey, { announcement: by('mallory'), from: 0 })
    await assert.rejects(foreign, { code: 'DENIED' })
    await assert.rejects(rooms(mallory).ask(RoomKey, { announcement: by('ada'), from: 0 }), { code: 'DENIED' })
    await assert.rejects(rooms(ada).ask(RoomKey, { announcement: by('mallory'), from: 0 }), { code: 'DENIED' })
    const second = writeAnnouncement({ ...said, first: 0 }, papers.get('ada')?.signing ?? assert.fail())
    await assert.rejects(rooms(ada).ask(RoomKey, { announcement: second, from: 0 }), { code: 'UNAUTHENTIC' })
    await adas.publish('still')
    await eventually(() => assert.deepEqual(heard, ['ada: true', 'ada: still']))
  })

  it('forged-roster: of one who does not hold the room, and one that is over', async () => {
    const { held, adas, bobs } = await open('rosters')
    const rooms = (from: MeshNode): ActorRef => from.ref(roomsActorName('bob'))
    const list = (holder: MeshNode, epoch: number) => ({
      room: adas.id,
      name: 'rosters',
      holder: holder.self.id,
      epoch,
      members: new Map([[bob.self.id, 1]]),
    })
    const hers = writeRoster(list(mallory, 9), papers.get('mallory')?.signing ?? assert.fail())
    await assert.rejects(rooms(mallory).ask(RoomRoster, { roster: hers }), { code: 'UNAUTHENTIC' })
    const his = writeRoster(list(boss, 9), papers.get('mallory')?.signing ?? assert.fail())
    await assert.rejects(rooms(mallory).ask(RoomRoster, { roster: his }), { code: 'UNAUTHENTIC' })
    await held.dismiss('mallory')
    const members = new Map([bob, ada, mallory].map(({ self }) => [self.id, 2]))
    const over = writeRoster({ ...list(boss, held.epoch - 1), members }, papers.get('boss')?.signing ?? assert.fail())
    await rooms(boss).ask(RoomRoster, { roster: over })
    assert.deepEqual([...bobs.members.keys()].sort(), ['ada', 'bob', 'boss'])
  })

  it('outsider: a certified node that is not in it', async () => {
    const held = await boss.openRoom('closed', ['bob'])
    const bobs = await bob.room('closed', 'boss')
    const heard: string[] = []
    void (async () => {
      for await (const { value } of bobs.subscribe(z.string())) heard.push(value)
    })()
    const head = {
      room: held.id,
      publisher: mallory.self.id,
      epoch: held.epoch,
      first: 0,
      number: 0,
      deadline: Date.now() + 60_000,
    }
    const signing = papers.get('mallory')?.signing ?? assert.fail()
    const frame = writeRoomFrame(head, (bound) => sealWith(new Uint8Array(32), new Uint8Array(1), bound), signing)
    await refuses(heard, 1, () => broker.publish(toBob(held, mallory), frame), /that it is not in/)
  })

  // The last: nobody lets mallory in after this.
  it('a member whose certificate is revoked is out, and what is said from then on does not open to it', async () => {
    const { held, adas, bobs, heard } = await open('revoked')
    const mallorys = await mallory.room('revoked', 'boss')
    await mallorys.publish('hello')
    await eventually(() => assert.deepEqual(heard, ['mallory: hello']))
    const before = held.epoch
    await tap.bucket.put(
      tap.addresses.revokedKey,
      writeRevocations(mesh.authority.mesh, [mallory.self.certificate.holder], mesh.authority.root),
    )
    await eventually(() => assert.deepEqual([...bobs.members.keys()].sort(), ['ada', 'bob', 'boss']))
    await eventually(() => assert.ok(ada.directory.isRevoked(mallory.self.certificate.holder) && adas.epoch > before))
    const posts = tap.caught.length
    const isHers = ({ room, publisher }: Announcement) => room === adas.id && publisher === ada.self.id
    await adas.publish('among us')
    await eventually(() => assert.deepEqual(heard, ['mallory: hello', 'ada: among us']))
    // Two were told the new key, the boss and bob; once more where the first telling was not acknowledged in time.
    // Bob may have heard before the boss was told.
    await eventually(() => assert.equal(new Set(learned.filter(isHers).map(({ by }) => by)).size, 2))
    for (const { epoch } of learned.filter(isHers)) assert.ok(epoch > before)
    const toMallory = `.room.${mallory.self.certificate.holder}.`
    assert.deepEqual(
      tap.caught.slice(posts).filter(({ subject }) => subject.includes(toMallory)),
      [],
    )
    // It is told by the trail, too.
    await mallorys.publish('let me in').catch(() => undefined)
    await eventually(async () => assert.ok((await tap.refusals()).some(({ reason }) => /was revoked/.test(reason))))
    assert.deepEqual(heard, ['mallory: hello', 'ada: among us'])
  })
})

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = Uint8Array.from(bytes)
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}
