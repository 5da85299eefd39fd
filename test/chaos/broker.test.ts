/** What calls see of a broker that is killed and comes back: the loss of what was on its way at once, and nothing of the gap after it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../mesh/actor/actor.js'
import { message, nothing } from '../../mesh/actor/message.js'
import { addressesOf } from '../../mesh/address.js'
import type { MeshNode } from '../../mesh/node.js'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../kit/mesh.js'

const Echo = message('chaos.echo', { request: z.string(), reply: z.string() })
const Hang = message('chaos.hang', { request: nothing, reply: nothing })
const Drip = message('chaos.drip', { request: nothing, item: z.number() })

describe('a broker that is killed', () => {
  let mesh: NatsMesh
  let here: MeshNode
  const begun: string[] = []
  const brokenOff: string[] = []

  const never = (what: string, signal: AbortSignal) =>
    new Promise<null>((_, reject) => {
      begun.push(what)
      signal.addEventListener('abort', () => {
        brokenOff.push(what)
        reject(signal.reason)
      })
    })

  const subject = actor(
    'subject',
    () => [
      on(Echo, (said) => said),
      on(Hang, (_, { signal }) => never('call', signal)),
      on(Drip, async function* (_, { signal }) {
        yield 1
        await never('stream', signal)
      }),
    ],
    { args: z.undefined(), concurrency: 8 },
  )

  before(async () => {
    mesh = await natsMesh()
    here = await mesh.join('here')
    const there = await mesh.join('there')
    await there.spawn(subject)
    await here.ref('subject').ask(Echo, 'ready')
  })
  after(() => mesh.close())

  const kill = () => process.kill(mesh.broker.pid, 'SIGKILL')
  const lost = (error: unknown) => error instanceof ClawmeshError && error.code === 'UNREACHABLE' && error.retry

  it('fails what was on its way at once, and breaks the work off', async () => {
    const call = here.ref('subject').ask(Hang, null, { timeoutMs: 60_000 })
    const stream = (async () => {
      for await (const item of here.ref('subject').stream(Drip, null, { timeoutMs: 60_000 })) assert.equal(item, 1)
    })()
    const both = Promise.allSettled([call, stream])
    await eventually(() => assert.deepEqual(begun.sort(), ['call', 'stream']))
    kill()
    for (const ended of await both) assert.ok(ended.status === 'rejected' && lost(ended.reason))
    await eventually(() => assert.deepEqual(brokenOff.sort(), ['call', 'stream']))
  })

  it('brings all that a bucket holds to a watch that was only begun', async () => {
    const { authority } = mesh
    const transport = await mesh.connectAsAuthority()
    const bucket = await transport.bucket(addressesOf(authority.mesh, authority.meshKey).tasks)
    const keys = Array.from({ length: 200 }, (_, n) => `large.${n}`)
    for (const key of keys) await bucket.put(key, new Uint8Array(100_000))
    const seen = new Set<string>()
    let isBegun = false
    const watching = bucket.watch(({ key }) => {
      if (seen.size === 0) kill()
      seen.add(key)
    })
    void watching.then(() => {
      isBegun = true
    })
    await eventually(() => assert.ok(isBegun, `${seen.size} of ${keys.length} came`), 60_000)
    assert.deepEqual([...seen].sort(), [...keys].sort())
    ;(await watching).unsubscribe()
    await transport.close()
  })

  it('does not lose what is asked while it is away, or says so in time', async () => {
    for (let round = 0; round < 3; round += 1) {
      assert.equal(await persist('before'), 'before')
      const { pid } = mesh.broker
      kill()
      const answers = Promise.all(Array.from({ length: 20 }, (_, n) => persist(`${round}-${n}`)))
      assert.deepEqual(
        await answers,
        Array.from({ length: 20 }, (_, n) => `${round}-${n}`),
      )
      assert.notEqual(mesh.broker.pid, pid)
    }
  })

  /** As callers of the mesh do: asks again when it hears that the call was lost. A call that hears nothing fails by its deadline. */
  async function persist(text: string): Promise<string> {
    for (;;) {
      try {
        return await here.ref('subject').ask(Echo, text, { timeoutMs: 20_000 })
      } catch (error) {
        if (!lost(error)) throw error
      }
    }
  }
})
