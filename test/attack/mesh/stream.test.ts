/** A wire that loses, repeats or swaps the items of a stream is found out: the reader gets an error, never a stream with a hole. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message } from '../../../mesh/actor/message.js'
import type { MeshNode } from '../../../mesh/node.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { readFrame } from '../../../mesh/seal/frame.js'
import type { Receive, Transport } from '../../../mesh/transport/transport.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'

const Count = message('attack.count', { request: z.number(), item: z.number() })

const counter = actor('counter', () => [
  on(Count, async function* (limit) {
    for (let n = 0; n < limit; n += 1) {
      yield n
      // What is said in one turn is sealed as one: here each item shall be a frame of its own.
      await setImmediate()
    }
  }),
])

/** A broker that does as it likes with what it delivers to one node. */
function tampering(honest: Transport, deliver: (receive: () => void, isLetter: boolean) => void): Transport {
  const pass =
    (receive: Receive): Receive =>
    (subject, bytes) =>
      deliver(() => receive(subject, bytes), readFrame(bytes).type === 'letter')
  return {
    publish: (subject, bytes) => honest.publish(subject, bytes),
    subscribe: (subject, receive) => honest.subscribe(subject, pass(receive)),
    bucket: (name) => honest.bucket(name),
    log: (stream) => honest.log(stream),
    onConnection: (listener) => honest.onConnection(listener),
    close: () => honest.close(),
  }
}

describe('the items of a stream', () => {
  let mesh: NatsMesh
  let reader: MeshNode
  let items = 0
  /** An item is a letter, and so is the end; nothing else comes that way. */
  let tamper: (receive: () => void, isItem: boolean) => void = (receive) => receive()

  before(async () => {
    mesh = await natsMesh()
    const writer = await mesh.join('writer')
    await writer.spawn(counter)
    const credentials = enrol(mesh.authority, { name: 'reader', roles: ['supervisor'] }, Date.now())
    const transport = tampering(await mesh.connect(credentials), (receive, isLetter) => {
      if (isLetter) items += 1
      tamper(receive, isLetter)
    })
    reader = await mesh.join('reader', { credentials, transport })
  })
  after(() => mesh.close())

  async function read(): Promise<number[]> {
    items = 0
    const seen: number[] = []
    for await (const n of reader.ref('counter').stream(Count, 10, { timeoutMs: 60_000 })) seen.push(n)
    return seen
  }

  const incomplete = (error: unknown) =>
    error instanceof ClawmeshError && error.code === 'UNREACHABLE' && /lost/.test(error.message)

  it('arrive whole when nothing is done to them', async () => {
    tamper = (receive) => receive()
    assert.deepEqual(await read(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('dropped-item', async () => {
    tamper = (receive) => items !== 4 && receive()
    await assert.rejects(read(), incomplete)
  })

  it('dropped-last-item', async () => {
    tamper = (receive) => (items === 10 ? undefined : receive())
    await assert.rejects(read(), incomplete)
  })

  it('swapped-items', async () => {
    let held: (() => void) | undefined
    tamper = (receive) => {
      if (items === 4) held = receive
      else {
        receive()
        held?.()
        held = undefined
      }
    }
    await assert.rejects(read(), incomplete)
  })

  it('doubled-item: the reader sees it once', async () => {
    tamper = (receive, isItem) => {
      receive()
      if (isItem) receive()
    }
    assert.deepEqual(await read(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})
