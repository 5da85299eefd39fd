import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Places } from '../../inference/places.js'
import { coded } from '../contract/backend.js'
import { eventually } from '../kit/eventually.js'

/** Answers that end when they are let. */
class Server {
  readonly begun: number[] = []
  private readonly ends = new Map<number, () => void>()

  ask(places: Places, number: number, signal?: AbortSignal): Promise<number[]> {
    const answer = async function* (this: Server, ended: AbortSignal) {
      this.begun.push(number)
      await new Promise<void>((resolve, reject) => {
        this.ends.set(number, resolve)
        ended.addEventListener('abort', () => reject(new Error('ended')))
      })
      yield number
    }.bind(this)
    const all = (async () => {
      const said: number[] = []
      for await (const each of places.take(answer, signal)) said.push(each)
      return said
    })()
    // Awaited by whom it concerns.
    all.catch(() => {})
    return all
  }

  end(number: number): void {
    this.ends.get(number)?.()
  }

  has(...numbers: number[]): Promise<void> {
    return eventually(() => assert.deepEqual(this.begun, numbers))
  }
}

describe('places with a server', () => {
  it('are given to those that wait in the order in which they came, and never to one that comes later', async () => {
    const [server, places] = [new Server(), new Places(2, 3)]
    const asked = [0, 1, 2, 3, 4].map((number) => server.ask(places, number))
    await server.has(0, 1)
    server.end(1)
    await asked[1]
    asked.push(server.ask(places, 5))
    await server.has(0, 1, 2)
    for (const number of [0, 2]) server.end(number)
    await server.has(0, 1, 2, 3, 4)
    for (const number of [3, 4]) server.end(number)
    await server.has(0, 1, 2, 3, 4, 5)
    server.end(5)
    assert.deepEqual(await Promise.all(asked), [[0], [1], [2], [3], [4], [5]])
  })

  it('have so many waiting and no more: the next is told so at once, and comes in when one has given up', async () => {
    const [server, places] = [new Server(), new Places(1, 2)]
    const cancel = new AbortController()
    const [first, second, third] = [undefined, cancel.signal, undefined].map((signal, i) =>
      server.ask(places, i, signal),
    )
    await assert.rejects(server.ask(places, 3), coded('MODEL_BUSY'))
    cancel.abort()
    const fourth = server.ask(places, 4)
    await assert.rejects(second ?? assert.fail(), coded('CANCELLED'))
    server.end(0)
    await first
    await server.has(0, 2)
    server.end(2)
    await third
    await server.has(0, 2, 4)
    server.end(4)
    assert.deepEqual(await fourth, [4])
  })

  it('are free when an answer is cancelled, before it has come to its end', async () => {
    const [server, places] = [new Server(), new Places(1, 1)]
    const cancel = new AbortController()
    const [first, second] = [server.ask(places, 0, cancel.signal), server.ask(places, 1)]
    await server.has(0)
    cancel.abort()
    await assert.rejects(first)
    await server.has(0, 1)
    server.end(1)
    assert.deepEqual(await second, [1])
  })

  it('end all when they are closed, and those that wait do not begin', async () => {
    const [server, places] = [new Server(), new Places(1, 2)]
    const [first, ...waiting] = [0, 1, 2].map((number) => server.ask(places, number))
    await server.has(0)
    assert.deepEqual([places.close(), places.close()], [true, false])
    await assert.rejects(first ?? assert.fail(), /ended/)
    for (const each of [...waiting, server.ask(places, 3)]) await assert.rejects(each, coded('CANCELLED'))
    assert.deepEqual(server.begun, [0])
  })

  it('are all at the server where nobody knows how many it takes', async () => {
    const [server, places] = [new Server(), new Places(undefined, 2)]
    const asked = [0, 1, 2].map((number) => server.ask(places, number))
    await server.has(0, 1, 2)
    await assert.rejects(server.ask(places, 3), coded('MODEL_BUSY'))
    places.close()
    for (const each of asked) await assert.rejects(each, /ended/)
  })
})
