/** What a room promises its members, whatever carries it. Run on each transport. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import type { MeshNode } from '../../mesh/node.js'
import type { Lost } from '../../mesh/room/history.js'
import type { Room } from '../../mesh/room/room.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import type { MeshFactory, TestMesh } from '../kit/mesh.js'
import { Wire } from '../kit/wire.js'

const code = (wanted: ErrorCode) => (error: unknown) => error instanceof ClawmeshError && error.code === wanted

/** Reads on until the room is over: what was said, what was lost, and how it ended. */
class Reader {
  readonly heard: string[] = []
  readonly lost: Lost[] = []
  ended: ClawmeshError | 'closed' | undefined
  readonly done: Promise<void>

  constructor(room: Room) {
    this.done = this.#read(room)
  }

  async #read(room: Room): Promise<void> {
    try {
      for await (const { node, value } of room.subscribe(z.string(), { onLost: (lost) => this.lost.push(lost) }))
        this.heard.push(`${node}: ${value}`)
      this.ended = 'closed'
    } catch (error) {
      this.ended = ClawmeshError.from(error)
    }
  }

  hears(wanted: string[]): Promise<void> {
    return eventually(() => assert.deepEqual(this.heard, wanted))
  }
}

export function roomContract(name: string, create: MeshFactory): void {
  describe(`a room over ${name}`, () => {
    let mesh: TestMesh
    let boss: MeshNode
    let ada: MeshNode
    let bob: MeshNode
    let wire: Wire

    before(async () => {
      mesh = await create()
      boss = await mesh.join('boss')
      ;[ada, wire] = await wired('ada')
      bob = await mesh.join('bob', { roles: ['worker'] })
      await eventually(() => assert.equal(boss.nodes().length + ada.nodes().length + bob.nodes().length, 9))
    })
    after(() => mesh.close())

    /** A node that sends by a wire that can be tampered with. */
    async function wired(name: string): Promise<[MeshNode, Wire]> {
      const credentials = enrol(mesh.authority, { name, roles: ['worker'] }, Date.now())
      const transport = new Wire(await mesh.connect(credentials))
      return [await mesh.join(name, { credentials, transport }), transport]
    }

    const isPost = (subject: string) => subject.includes('.room.')

    async function open(name: string): Promise<{ held: Room; adas: Room; bobs: Room }> {
      wire.tamper = (_, bytes) => [bytes]
      const held = await boss.openRoom(name, ['ada', 'bob'])
      return { held, adas: await ada.room(name, 'boss'), bobs: await bob.room(name, 'boss') }
    }

    it('carries what each says to all, in the order in which it was said, and to nobody else', async () => {
      const { held, adas, bobs } = await open('talk')
      const readers = [held, adas, bobs].map((room) => new Reader(room))
      const numbers = Array.from({ length: 40 }, (_, number) => number)
      await Promise.all(numbers.map((number) => adas.publish(`a${number}`)))
      const said = numbers.map((number) => `ada: a${number}`)
      for (const reader of readers) await reader.hears(said)
      await bobs.publish('b')
      for (const reader of readers) await reader.hears([...said, 'bob: b'])
      // One batch for what is written in one turn, and one copy of it for each other member.
      assert.equal(wire.sent.filter(({ subject }) => isPost(subject)).length, 2)
      await held.close()
      await Promise.all(readers.map(({ done }) => done))
      assert.deepEqual(
        readers.map(({ ended }) => ended),
        ['closed', 'closed', 'closed'],
      )
      await assert.rejects(adas.publish('late'), code('CANCELLED'))
    })

    it('asks again for what was lost on the way, the last of it too', async () => {
      const { adas, bobs } = await open('dropping')
      const reader = new Reader(bobs)
      const heard = Array.from({ length: 6 }, (_, number) => `ada: ${number}`)
      for (let number = 0; number < 6; number += 1) {
        // The second and the last.
        wire.tamper = (subject, bytes) => (isPost(subject) && (number === 1 || number === 5) ? [] : [bytes])
        await adas.publish(String(number))
        await turn()
      }
      await reader.hears(heard)
      assert.deepEqual(reader.lost, [])
    })

    it('is heard again by one who could not be reached for a while', async () => {
      const { adas, bobs } = await open('away')
      const reader = new Reader(bobs)
      await adas.publish('before')
      await reader.hears(['ada: before'])
      // Nothing of hers comes through, not even how far she got.
      const from = wire.sent.length
      wire.tamper = () => []
      await adas.publish('last')
      await eventually(() => assert.ok(wire.sent.slice(from).some(({ subject }) => subject.includes('.in.'))))
      wire.tamper = (_, bytes) => [bytes]
      await reader.hears(['ada: before', 'ada: last'])
      assert.deepEqual(reader.lost, [])
    })

    it('is not moved by what is repeated, swapped or changed on the way', async () => {
      const { adas, bobs } = await open('swapping')
      const reader = new Reader(bobs)
      let kept: Uint8Array | undefined
      const isBobs = (subject: string) => isPost(subject) && subject.includes(bob.self.certificate.holder)
      for (const [number, tamper] of [
        (bytes: Uint8Array) => [bytes, bytes],
        (bytes: Uint8Array) => {
          kept = bytes.slice()
          return []
        },
        (bytes: Uint8Array) => [bytes, ...(kept ? [kept] : [])],
        (bytes: Uint8Array) => [flipped(bytes, bytes.length - 1)],
        // The deadline, and the signature.
        (bytes: Uint8Array) => [flipped(bytes, 46)],
        (bytes: Uint8Array) => [flipped(bytes, 60)],
        (bytes: Uint8Array) => [bytes],
      ].entries()) {
        wire.tamper = (subject, bytes) => (isBobs(subject) ? tamper(bytes) : [bytes])
        await adas.publish(String(number))
        await turn()
      }
      wire.tamper = (_, bytes) => [bytes]
      await reader.hears(Array.from({ length: 7 }, (_, number) => `ada: ${number}`))
      assert.deepEqual(reader.lost, [])
    })

    it('takes nothing after its deadline', async () => {
      const { adas, bobs } = await open('late')
      const reader = new Reader(bobs)
      await adas.publish('in time')
      await adas.publish('late by more than clocks may differ', { timeoutMs: -60_000 })
      await adas.publish('in time again')
      await reader.hears(['ada: in time', 'ada: in time again'])
      assert.deepEqual(reader.lost, [{ node: 'ada', batches: 1 }])
    })

    it('says so where something is lost for good', async () => {
      const { adas, bobs } = await open('losing')
      const [eve, eves] = await wired('eve')
      await eventually(() => assert.ok(boss.directory.node('eve') && bob.directory.node('eve')))
      const held = await boss.openRoom('losing too', ['eve', 'bob'])
      const room = await eve.room('losing too', 'boss')
      const reader = new Reader(await bob.room('losing too', 'boss'))
      await room.publish('heard')
      await reader.hears(['eve: heard'])
      eves.tamper = (subject, bytes) => (isPost(subject) ? [] : [bytes])
      await room.publish('lost')
      await turn()
      eves.tamper = (_, bytes) => [bytes]
      await room.publish('after')
      await turn()
      // It cannot be asked any more.
      eves.tamper = () => []
      await eve.close()
      await eventually(() => assert.deepEqual(reader.lost, [{ node: 'eve', batches: 1 }]))
      await reader.hears(['eve: heard', 'eve: after'])
      // A reader that does not say that it can go on without is ended by it.
      const strict = (await bob.room('losing too', 'boss')).subscribe(z.string())
      assert.equal((await strict.next()).value?.value, 'heard')
      await assert.rejects(strict.next(), code('UNREACHABLE'))
      await held.close()
      await adas.publish('the other room goes on')
      await new Reader(bobs).hears(['ada: the other room goes on'])
    })

    it('gives one that joins nothing of before, and one that left nothing of after', async () => {
      const { held, adas, bobs } = await open('changing')
      const [dan, dans] = await wired('dan')
      const toDan = (subject: string) => isPost(subject) && subject.includes(dan.self.certificate.holder)
      await eventually(() => assert.ok(boss.directory.node('dan') && ada.directory.node('dan')))
      await adas.publish('before')
      await new Reader(bobs).hears(['ada: before'])
      await held.admit('dan')
      const reader = new Reader(await dan.room('changing', 'boss'))
      assert.deepEqual(
        [...held.members],
        [
          ['boss', 1],
          ['ada', 2],
          ['bob', 2],
          ['dan', 3],
        ],
      )
      await adas.publish('between')
      await reader.hears(['ada: between'])
      await held.dismiss('dan')
      const from = wire.sent.length
      await adas.publish('after')
      await new Reader(bobs).hears(['ada: before', 'ada: between', 'ada: after'])
      await reader.done
      assert.ok(reader.ended instanceof ClawmeshError && reader.ended.code === 'DENIED', String(reader.ended))
      assert.deepEqual(reader.heard, ['ada: between'])
      assert.deepEqual(
        wire.sent.slice(from).filter(({ subject }) => toDan(subject)),
        [],
      )
      // In again, and heard anew.
      await held.admit('dan')
      const again = await dan.room('changing', 'boss')
      await again.publish('back')
      await new Reader(again).hears(['dan: back'])
      await new Reader(bobs).hears(['ada: before', 'ada: between', 'ada: after', 'dan: back'])
      // The frames of before, sent to it now, open as little as they did.
      const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
      for (const { subject, bytes } of wire.sent.filter(({ subject }) => isPost(subject)))
        if (subject.includes(held.id))
          wire.publish(addresses.room(dan.self.certificate.holder, held.id, ada.self.certificate.holder), bytes)
      await adas.publish('last')
      await new Reader(again).hears(['dan: back', 'ada: last'])
      assert.ok(dans.sent.length > 0)
    })

    it('is changed by its holder alone, who is a supervisor', async () => {
      const { held, adas } = await open('ruled')
      await assert.rejects(adas.admit('boss'), code('DENIED'))
      await assert.rejects(adas.close(), code('DENIED'))
      await assert.rejects(ada.openRoom('mine'), code('DENIED'))
      await assert.rejects(boss.openRoom('ruled'), code('USAGE'))
      await assert.rejects(held.admit('nobody'), code('UNREACHABLE'))
      await assert.rejects(bob.room('no such room', 'boss', 50), code('UNREACHABLE'))
    })

    it('ends when its holder is lost', async () => {
      const holder = await mesh.join('holder')
      await eventually(() => assert.ok(holder.directory.node('ada') && ada.directory.node('holder')))
      await holder.openRoom('brief', ['ada'])
      const reader = new Reader(await ada.room('brief', 'holder'))
      await holder.close()
      await reader.done
      assert.ok(reader.ended instanceof ClawmeshError && reader.ended.code === 'UNREACHABLE')
    })
  })
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice()
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}
