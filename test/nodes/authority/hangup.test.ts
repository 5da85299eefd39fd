/** A node whose process dies is noticed by the end of its connection; who is alive stays, whatever is said of its connections. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message, nothing } from '../../../mesh/actor/message.js'
import { supervise } from '../../../mesh/actor/supervisor.js'
import { type Addresses, addressesOf } from '../../../mesh/address.js'
import { hangupMs, leaseMs } from '../../../mesh/lease.js'
import type { MeshNode } from '../../../mesh/node.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { readHangup, writeHangup } from '../../../mesh/seal/hangup.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import type { Bucket } from '../../../mesh/transport/transport.js'
import { type Hangups, tellHangups } from '../../../nodes/authority/hangups.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { Awake } from '../../kit/awake.js'
import { Cable } from '../../kit/cable.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type NatsMesh, natsMesh } from '../../kit/mesh.js'

const Stand = message('hangup.stand', { request: nothing, reply: nothing })
const child = actor('child', () => [on(Stand, () => null)])

describe('the end of a connection', () => {
  let mesh: NatsMesh
  let addresses: Addresses
  let operator: NatsTransport
  let bucket: Bucket
  let hangups: Hangups
  let here: MeshNode

  before(async () => {
    mesh = await natsMesh()
    const { authority, accounts } = mesh
    addresses = addressesOf(authority.mesh, authority.meshKey)
    operator = await mesh.connectAsAuthority()
    bucket = await operator.bucket(addresses.directory)
    here = await mesh.join('here', { hosts: [child] })
    const access = { servers: mesh.brokers.urls }
    hangups = await tellHangups({ authority, accounts, addresses, access, directory: here.directory, bucket })
  })
  after(async () => {
    await hangups.close()
    await operator.close()
    await mesh.close()
  })

  const hinted = async (name: string) => (await bucket.get(addresses.hangupKey(name)))?.value

  it('has the children of a dead process started elsewhere before its lease is over, and takes nothing from a living one whose second connection ended', async () => {
    const credentials = enrol(mesh.authority, { name: 'alive', roles: ['worker'] }, Date.now())
    const alive = await mesh.join('alive', { credentials })
    await alive.spawn(child, { as: 'two' })
    const there = await mesh.join('there', { hosts: [child] })
    const restarted: string[] = []
    const children = [{ name: 'one', definition: 'child', prefers: 'there' }]
    const house = await supervise(here, { name: 'house', children, onRestart: (_, place) => restarted.push(place) })
    assert.equal(house.placeOf('one'), 'there')
    const lost: string[] = []
    here.directory.onLost(({ name }) => lost.push(name))
    // As long as a beat falls into the moment after it, nothing is said of it: until none does.
    const user = await mesh.memberUser(credentials)
    const wire = await eventually(async () => {
      await (await mesh.plain(user)).close()
      return (await hinted('alive')) ?? assert.fail('nothing was said yet')
    })
    const { run, beat } = readHangup(wire, mesh.authority.mesh, mesh.authority.root.publicKey)
    assert.equal(run, alive.self.id)
    const at = performance.now()
    const awake = new Awake()
    // To the broker and the others no different from kill -9: the connection ends, and no word is said.
    await there.abandon()
    await eventually(() => assert.deepEqual(restarted, ['here']))
    assert.ok(performance.now() - at > hangupMs && awake.ms < leaseMs, `${awake.ms} ms`)
    awake.stop()
    await here.ref('one').ask(Stand, null)
    // It has answered, and was waited for no less long than the other.
    assert.ok((here.directory.newestOf(credentials.certificate.holder)?.beat ?? 0) > beat)
    assert.deepEqual(lost, ['there'])
    await here.ref('two').ask(Stand, null)
    await house.stop()
  })

  it('is told to nobody by a member: the broker refuses it, as it refuses to tell one, and what another has signed is not read', async () => {
    const { authority } = mesh
    const forged = writeHangup(authority.mesh, { run: here.self.id, beat: 9e9 }, createAuthority().root)
    assert.throws(() => readHangup(forged, authority.mesh, authority.root.publicKey), { code: 'UNAUTHENTIC' })
    const member = await mesh.connect()
    const theirs = await member.bucket(addresses.directory)
    await assert.rejects(theirs.put(addresses.hangupKey('here'), forged, 0), { code: 'BROKER_UNAVAILABLE' })
    assert.equal(await hinted('here'), undefined)
    await member.close()
    const watcher = await mesh.plain(await mesh.accounts.watcher())
    const heard = watcher.subscribe(addresses.disconnects('*'))
    const reading = (async () => {
      for await (const _ of heard) assert.fail('it heard of another account')
    })()
    await assert.rejects(reading, /permissions violation/i)
    watcher.publish('$SYS.REQ.SERVER.PING', '')
    const denied = (async () => {
      for await (const status of watcher.status()) if (status.type === 'error') return String(status.error)
      return ''
    })()
    assert.match(await denied, /permissions violation/i)
    await watcher.close()
  })

  it('keeps a node that was given up by it from any effect, also before its lease is over', async (t) => {
    const mesh = await memoryMesh()
    t.after(() => mesh.close())
    const cable = new Cable()
    const here = await mesh.join('here')
    const there = await mesh.join('there', { transport: cable.through(await mesh.connect()) })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const bucket = await (await mesh.connect()).bucket(addresses.directory)
    const intend = () => there.audit.intend({ kind: 'action.intended', trace: 'task', actor: 'worker', facts: {} })
    const newest = () => here.directory.newestOf(there.self.certificate.holder)
    await intend()
    await eventually(() => assert.ok(newest()))
    cable.pull()
    const awake = new Awake()
    const intended = intend()
    const refused = assert.rejects(intended, (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE')
    const beat = newest()?.beat ?? assert.fail('it is not there')
    const told = { run: there.self.id, beat }
    const say = (root: typeof authority.root) =>
      bucket.put(addresses.hangupKey('there'), writeHangup(authority.mesh, told, root))
    // What another than the authority has signed is as if it were not there.
    await say(createAuthority().root)
    await say(authority.root)
    const since = performance.now()
    await eventually(() => assert.equal(here.directory.node('there'), undefined))
    assert.ok(performance.now() - since >= hangupMs)
    assert.ok(awake.ms < leaseMs)
    awake.stop()
    cable.plugIn()
    await refused
    await eventually(() => assert.ok(here.directory.node('there')))
    await intend()
  })
})
