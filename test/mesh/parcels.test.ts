/** Large letters between two posts on a wire that loses what it is told to. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { encode } from '../../mesh/codec.js'
import { Assemblies } from '../../mesh/post/assemblies.js'
import { type Kind, type Letter, mostBodyBytes, packBody, pieceBytes } from '../../mesh/post/letter.js'
import { Parcels } from '../../mesh/post/parcels.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { beginIncarnation, type Peer } from '../../mesh/seal/incarnation.js'
import type { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'

const authority = createAuthority()
const runOf = (name: string): Peer => beginIncarnation(enrol(authority, { name, roles: ['worker'] }, Date.now()))

/** Two ends; `loses` says of each letter whether the wire does. */
function wire(loses: (letter: Letter) => boolean = () => false) {
  const queue: (() => void)[] = []
  const passed: Kind[] = []
  const end = (self: Peer) => {
    const delivered: Letter[] = []
    const failed: [Kind, string][] = []
    const put = (to: Peer, kind: Kind, call: number, deadline: number, body: unknown) => {
      const letter = { peer: self, kind, call, deadline, body }
      passed.push(kind)
      if (loses(letter)) return
      const other = to === left.self ? left : right
      queue.push(() => {
        if (kind === 'piece') other.assemblies.add(letter)
        else if (kind === 'more') other.parcels.acknowledged(letter)
        else other.delivered.push(letter)
      })
    }
    const parcels = new Parcels({
      send: put,
      failed: ({ kind }: Letter, { code }: ClawmeshError) => failed.push([kind, code]),
      now: () => Date.now(),
    })
    const assemblies = new Assemblies({
      deliver: (letter) => delivered.push(letter),
      acknowledge: (to, id, taken) => put(to, 'more', 0, Date.now() + 1000, [id, taken]),
    })
    return { self, parcels, assemblies, delivered, failed }
  }
  const [left, right] = [end(runOf('left')), end(runOf('right'))]
  const run = (most = Number.POSITIVE_INFINITY) => {
    for (let n = 0; n < most && queue.length > 0; n += 1) queue.shift()?.()
  }
  const send = (kind: Kind, call: number, bytes: number) =>
    left.parcels.send(right.self, kind, call, Date.now() + 10_000, encode('x'.repeat(bytes)))
  return { left, right, run, send, passed, queue }
}

describe('large letters', () => {
  it('have no more pieces on their way than their receiver has said it took', () => {
    const { right, run, send, passed, queue } = wire()
    assert.equal(send('ask', 1, 100), false)
    assert.equal(send('ask', 1, 20 * pieceBytes), true)
    assert.deepEqual([queue.length, passed.length], [16, 16])
    for (let call = 2; call < 7; call += 1) send('reply', call, 20 * pieceBytes)
    assert.equal(queue.length, 64)
    run()
    assert.deepEqual(
      right.delivered.map(({ call, body }) => [call, String(body).length]).sort(([a = 0], [b = 0]) => a - b),
      Array.from({ length: 6 }, (_, n) => [n + 1, 20 * pieceBytes]),
    )
    assert.equal(send('ask', 1, 100), false)
  })

  it('of which a piece is lost end at once, and what waits behind an ask goes on', () => {
    const { left, right, run, send } = wire(
      ({ kind, call, body }) => kind === 'piece' && call === 1 && (body as number[])[1] === 3,
    )
    send('ask', 1, 20 * pieceBytes)
    send('tell', 0, 10)
    run()
    assert.deepEqual(left.failed, [['ask', 'MAILBOX_FULL']])
    assert.deepEqual(
      right.delivered.map(({ kind }) => kind),
      ['tell'],
    )
  })

  it('that are answers and get lost take what is behind them along', () => {
    const { left, right, run, send } = wire(({ kind, body }) => kind === 'piece' && (body as number[])[1] === 1)
    send('item', 7, 3 * pieceBytes)
    send('end', 7, 1)
    run()
    assert.deepEqual([left.failed, right.delivered], [[['item', 'MAILBOX_FULL']], []])
  })

  it('are refused by a receiver that puts together as much as it may for one peer', () => {
    const { left, right, run, send } = wire()
    const first = [9, 0, 255, 'tell', new Uint8Array(pieceBytes)]
    right.assemblies.add({ peer: left.self, kind: 'piece', call: 0, deadline: Date.now() + 1000, body: first })
    send('reply', 2, 3 * pieceBytes)
    run()
    assert.deepEqual([left.failed, right.delivered], [[['reply', 'MAILBOX_FULL']], []])
  })

  it('are not held up for others by a receiver that says what cannot be', () => {
    const { left, right, run, send, queue } = wire()
    let number = 0
    for (const taken of [Number.NaN, 0.5, -1, 17, 'all']) {
      send('reply', 1, 30 * pieceBytes)
      number += 1
      left.parcels.acknowledged({ peer: right.self, kind: 'more', call: 0, deadline: 0, body: [number, taken] })
      run()
    }
    assert.deepEqual([left.failed.length, right.delivered.length, queue.length], [5, 0, 0])
    send('reply', 2, 30 * pieceBytes)
    run()
    assert.deepEqual(
      right.delivered.map(({ call }) => call),
      [2],
    )
  })

  it('have a limit', () => {
    assert.throws(() => packBody(new Uint8Array(mostBodyBytes)), /too large/)
  })

  it('of a call that was given up are neither sent nor put together on', () => {
    const { left, right, run, send, passed } = wire()
    send('ask', 1, 130 * pieceBytes)
    run(4)
    send('cancel', 1, 1)
    right.assemblies.abandon({ peer: left.self, kind: 'cancel', call: 1, deadline: 0, body: null })
    const before = passed.filter((kind) => kind === 'piece').length
    run()
    assert.equal(passed.filter((kind) => kind === 'piece').length, before)
    assert.deepEqual([right.delivered, left.failed], [[], []])
    // Nothing is held for it any more.
    send('ask', 2, 130 * pieceBytes)
    run()
    assert.equal(right.delivered.length, 1)
  })

  it('are given up by both when a peer is lost', () => {
    const { left, right, run, send } = wire()
    send('tell', 0, 20 * pieceBytes)
    run(10)
    left.parcels.lose(Object.assign(new Error('gone'), { code: 'UNREACHABLE' }) as ClawmeshError, right.self)
    run()
    assert.deepEqual([left.failed, right.delivered], [[['tell', 'UNREACHABLE']], []])
  })

  it('take up no more than is set aside for them, whatever comes along with each piece', async () => {
    const { left, right } = wire()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const count = 100
    collect()
    const before = process.memoryUsage().arrayBuffers
    for (let index = 0; index < count; index += 1) {
      const body = [1, index, count + 1, 'tell', new Uint8Array(new ArrayBuffer(4 * pieceBytes), 0, pieceBytes)]
      right.assemblies.add({ peer: left.self, kind: 'piece', call: 0, deadline: Date.now() + 60_000, body })
    }
    // Some versions of Node give memory back a moment after it was collected; what is not finished would be kept for longer than this.
    await eventually(() => {
      collect()
      assert.ok(process.memoryUsage().arrayBuffers - before < 2 * count * pieceBytes)
    })
  })

  it('whose pieces are none are refused', () => {
    const { left, right } = wire()
    const piece = new Uint8Array(pieceBytes)
    for (const body of [
      null,
      [1, 0, 1, 'ask', piece],
      [1, 0, 257, 'ask', piece],
      [1, 0, 2, 'piece', piece],
      [1, 0, 2, 'ask', new Uint8Array(pieceBytes + 1)],
      [1, 0, 2, 'ask', new Uint8Array(pieceBytes - 1)],
      [1, 2, 2, 'ask', piece],
      [1, 0, 2, 'ask', 'text'],
      [1, 0.5, 2, 'ask', piece],
    ])
      assert.throws(
        () => right.assemblies.add({ peer: left.self, kind: 'piece', call: 1, deadline: Date.now() + 1000, body }),
        /no piece of another/,
      )
  })
})
