/** What three brokers keep is on all of them when that is said, and is read from the one that has all of it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { addressesOf } from '../../../mesh/address.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import { provideBucket, replicate } from '../../../mesh/transport/nats-bucket.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'

const watches = 12
const bytes = 128 * 1024
const reads = 8

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

  it('let a log be read at its leader, as well', async () => {
    const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const node = await mesh.join('writer')
    for (let n = 0; n < 3; n += 1)
      await node.audit.intend({ kind: 'thought.asked', trace: 't', actor: 'writer', facts: { n } })
    const watcher = await mesh.plain(await mesh.accounts.administrator('audit'))
    const auditor = await mesh.connectAsAuditor()
    try {
      const manager = await jetstreamManager(watcher)
      const { cluster } = await manager.streams.info(auditStream)
      // A reader is there while it is asked for messages, and it may be gone before it is looked at.
      const places: string[] = []
      const looks: Promise<unknown>[] = []
      watcher.subscribe(`$JS.API.CONSUMER.MSG.NEXT.${auditStream}.*`, {
        callback: (_, { subject }) => {
          const look = manager.consumers.info(auditStream, subject.split('.').at(-1) ?? '')
          looks.push(look.then((found) => places.push(found.cluster?.leader ?? '')).catch(() => undefined))
        },
      })
      await watcher.flush()
      await eventually(async () => {
        for await (const _ of auditor.log(auditStream).read());
        await Promise.all(looks.splice(0))
        assert.ok(places.length >= reads)
      }, 20_000)
      assert.deepEqual(places, Array(places.length).fill(cluster?.leader))
    } finally {
      await auditor.close()
      await watcher.close()
    }
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
