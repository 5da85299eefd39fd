/** How membership ends and goes on while nodes are connected: what the others do then does not depend on the broker's help. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../mesh/actor/actor.js'
import { message } from '../../mesh/actor/message.js'
import { addressesOf } from '../../mesh/address.js'
import type { MeshNode } from '../../mesh/node.js'
import { clockToleranceMs, issueCertificate } from '../../mesh/seal/certificate.js'
import { type Credentials, enrol } from '../../mesh/seal/credentials.js'
import { signingKey } from '../../mesh/seal/keys.js'
import { writeRevocations } from '../../mesh/seal/revocation.js'
import type { Bucket } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { Tap, Traitor } from '../attack/mesh/intruder.js'
import { eventually } from '../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../kit/mesh.js'

const Echo = message('membership.echo', { request: z.string(), reply: z.string() })
const heard: string[] = []
const echo = (name: string) =>
  actor(name, () => [
    on(Echo, (said) => {
      heard.push(said)
      return said
    }),
  ])

describe('a node whose certificate ends while it is connected', () => {
  let mesh: NatsMesh
  let here: MeshNode
  /** The time of all who are in it. */
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  before(async () => {
    mesh = await natsMesh()
    here = await mesh.join('here', { now })
  })
  after(() => mesh.close())

  /** Good for so long from now, the tolerance for clocks included. */
  const goodFor = (name: string, ms: number): Credentials => {
    const credentials = enrol(mesh.authority, { name, roles: ['worker'] }, Date.now())
    return { ...credentials, certificate: certificateFor(credentials, ms) }
  }

  const certificateFor = ({ mesh: id, certificate, signing }: Credentials, ms: number) => {
    const { name, roles } = certificate
    const dates = { notBefore: now() - 60_000, notAfter: now() - clockToleranceMs + ms }
    return issueCertificate({ mesh: id, name, roles, publicKey: signing.publicKey, ...dates }, mesh.authority.root)
  }

  it('is lost, and what it says is refused by name', async () => {
    const tap = await Tap.on(mesh)
    await here.spawn(echo('deaf'))
    const credentials = goodFor('mortal', 20_000)
    const mortal = await Traitor.join(credentials, await mesh.connect(credentials))
    const lost: string[] = []
    here.directory.onLost(({ name }) => lost.push(name))
    await eventually(() => assert.ok(here.directory.node('mortal')))
    const say = (text: string) => mortal.send(here.self, {}, ['deaf', Echo.name, '', text])
    say('alive')
    await eventually(() => assert.ok(heard.includes('alive')))
    assert.equal(lost.length, 0)
    aheadMs += 20_000
    await eventually(() => assert.ok(lost.includes('mortal')))
    say('dead')
    await eventually(async () => {
      const named = (await tap.refusals()).filter(({ node }) => node === 'mortal')
      assert.match(named[0]?.reason ?? '', /certificate .* ended/)
    })
    assert.ok(!heard.includes('dead'))
    await mortal.close()
    await tap.close()
  })

  it('stays, under the same address and with its actors, if it is renewed in time', async () => {
    const credentials = goodFor('phoenix', 20_000)
    const phoenix = await mesh.join('phoenix', { credentials, now })
    await phoenix.spawn(echo('ash'))
    await here.ref('ash').ask(Echo, 'before')
    const lost: string[] = []
    here.directory.onLost(({ name }) => lost.push(name))
    const renewed = certificateFor(credentials, 60_000)
    await phoenix.renew(renewed)
    await eventually(() => assert.equal(here.directory.node('phoenix')?.peer.certificate.notAfter, renewed.notAfter))
    aheadMs += 20_000
    const beat = () => here.directory.newestOf(renewed.holder)?.beat ?? assert.fail('it is lost')
    const before = beat()
    await eventually(() => assert.ok(beat() > before + 1))
    assert.equal(await here.ref('ash').ask(Echo, 'after'), 'after')
    assert.deepEqual(lost, [])
    assert.equal(here.directory.node('phoenix')?.peer.id, phoenix.self.id)
  })
})

describe('a revoked node that the broker still lets in', () => {
  let mesh: NatsMesh
  let tap: Tap
  let here: MeshNode
  let traitor: Traitor
  let credentials: Credentials
  let bucket: Bucket
  let key: string

  before(async () => {
    mesh = await natsMesh()
    tap = await Tap.on(mesh)
    here = await mesh.join('here', {})
    await here.spawn(echo('listener'))
    credentials = enrol(mesh.authority, { name: 'traitor', roles: ['worker'] }, Date.now())
    traitor = await Traitor.join(credentials, await mesh.connect(credentials))
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    key = addresses.revokedKey
    bucket = tap.bucket
    await eventually(() => assert.ok(here.directory.node('traitor')))
  })
  after(async () => {
    await traitor.close()
    await tap.close()
    await mesh.close()
  })

  const say = (text: string) => traitor.send(here.self, {}, ['listener', Echo.name, '', text])
  const holder = () => credentials.certificate.holder
  const list = (holders: string[], root = mesh.authority.root, id = mesh.authority.mesh) =>
    bucket.put(key, writeRevocations(id, holders, root))

  it('is not revoked by anybody but the root, nor by the root of another mesh', async () => {
    await list([holder()], signingKey())
    await list([holder()], mesh.authority.root, 'another')
    say('still here')
    await eventually(() => assert.ok(heard.includes('still here')))
  })

  it('is lost though it beats on', async () => {
    const lost = new Promise<void>((resolve) =>
      here.directory.onLost(({ name }) => (name === 'traitor' ? resolve() : undefined)),
    )
    await list([holder()])
    await lost
  })

  it('is heard no more, though its messages arrive, and each is recorded', async () => {
    for (let n = 0; n < 5; n += 1) say('after all')
    await eventually(async () => {
      const named = (await tap.refusals()).filter(({ node, reason }) => node === 'traitor' && /revoked/.test(reason))
      assert.equal(
        named.reduce((sum, { count }) => sum + count, 0),
        5,
      )
    })
    assert.ok(!heard.includes('after all'))
    assert.equal(here.directory.node('traitor'), undefined)
  })

  it('does not come back by another run, nor by an older list', async () => {
    await list([])
    await bucket.delete(key)
    const again = await Traitor.join(credentials, await mesh.connect(credentials))
    again.send(here.self, {}, ['listener', Echo.name, '', 'again'])
    await eventually(async () => assert.ok((await tap.refused()) >= 6))
    assert.ok(!heard.includes('again'))
    assert.equal(here.directory.node('traitor'), undefined)
    await again.close()
  })

  it('is unknown from the start to a node that joins later', async () => {
    await list([holder()])
    const late = await mesh.join('late')
    assert.equal(late.directory.node('traitor'), undefined)
    assert.ok(late.directory.node('here'))
    await assert.rejects(
      late.ref('node/traitor').ask(Echo, 'anybody?', { timeoutMs: 300 }),
      (error) => error instanceof ClawmeshError && error.code === 'UNREACHABLE',
    )
  })
})
