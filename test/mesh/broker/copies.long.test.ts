/** What three brokers keep is on all of them when that is said, and is read from the one that has all of it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { addressesOf } from '../../../mesh/address.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import { provideBucket, replicate } from '../../../mesh/transport/nats-bucket.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'

const watches = 12
const bytes = 128 * 1024

describe('three brokers', () => {
  let mesh: NatsMesh
  let plain: NatsConnection
  let transport: NatsTransport
  before(async () => {
    mesh = await natsMesh(undefined, undefined, 3)
    plain = await mesh.plain(await mesh.accounts.administrator('mesh'))
    transport = await mesh.connectAsAuthority()
  })
  after(async () => {
    await transport.close()
    await plain.close()
    await mesh.close()
  })

  it('show each watch of a bucket at its leader, which is never behind', async () => {
    const { tasks } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const bucket = await transport.bucket(tasks)
    const open = await Promise.all(Array.from({ length: watches }, () => bucket.watch(() => undefined)))
    const manager = await jetstreamManager(plain)
    const stream = `KV_${tasks}`
    const leader = (await manager.streams.info(stream)).cluster?.leader
    const places: (string | undefined)[] = []
    for await (const { cluster } of manager.consumers.list(stream)) places.push(cluster?.leader)
    assert.deepEqual(places, Array(watches).fill(leader))
    for (const watch of open) watch.unsubscribe()
  })

  it('have all of a bucket that one of them had, as soon as it is spread', async () => {
    await provideBucket(plain, 'grown', 1)
    const bucket = await transport.bucket('grown')
    for (let n = 0; n < 200; n += 1) await bucket.put(`key.${n}`, new Uint8Array(bytes))
    await replicate(plain, 'KV_grown', 1, 3)
    const { cluster } = await (await jetstreamManager(plain)).streams.info('KV_grown')
    const [behind, current] = [false, true].map((is) => cluster?.replicas?.filter((each) => each.current === is))
    assert.deepEqual(behind, [])
    assert.equal(new Set([cluster?.leader, ...(current ?? []).map(({ name }) => name)]).size, 3)
  })
})
