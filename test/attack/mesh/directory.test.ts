/** What the broker or a member writes into the directory can keep nodes from finding each other for a while. It never makes anybody somebody else. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message } from '../../../mesh/actor/message.js'
import { encode } from '../../../mesh/codec.js'
import type { MeshNode } from '../../../mesh/node.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { sealWith } from '../../../mesh/seal/box.js'
import { issueCertificate } from '../../../mesh/seal/certificate.js'
import { type Credentials, enrol } from '../../../mesh/seal/credentials.js'
import { beginIncarnation } from '../../../mesh/seal/incarnation.js'
import { randomBytes, signingKey, utf8 } from '../../../mesh/seal/keys.js'
import type { Role } from '../../../policies/roles.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'
import { Tap, Traitor } from './intruder.js'

const Who = message('attack.who', { request: z.null(), reply: z.string() })
const day = 24 * 60 * 60 * 1000

describe('a directory in false hands', () => {
  let mesh: NatsMesh
  let tap: Tap
  let here: MeshNode
  let there: MeshNode
  let asked: string[] = []

  const honest = (name: string) =>
    actor(name, () => [
      on(Who, (_, { sender }) => {
        asked.push(sender.node)
        return name
      }),
    ])

  before(async () => {
    mesh = await natsMesh()
    tap = await Tap.on(mesh)
    here = await mesh.join('here')
    there = await mesh.join('there')
    await there.spawn(honest('honest'))
  })
  after(async () => {
    await tap.close()
    await mesh.close()
  })

  const key = (name: string) => tap.addresses.nodeKey(name)
  const works = () =>
    eventually(async () => assert.equal(await here.ref('honest').ask(Who, null, { timeoutMs: 1000 }), 'honest'))

  /** A member as the certificate has it, with every other key of the mesh: only the certificate can keep it out. */
  const holding = (certify: (publicKey: Uint8Array) => Credentials['certificate']): Credentials => {
    const { authority } = mesh
    const signing = signingKey()
    return {
      mesh: authority.mesh,
      rootKey: authority.root.publicKey,
      certificate: certify(signing.publicKey),
      signing,
      meshKey: authority.meshKey,
      auditorKey: authority.auditor.publicKey,
    }
  }

  const certificate = (publicKey: Uint8Array, dates: { from: number; to: number }, roles: Role[] = ['worker']) =>
    issueCertificate(
      {
        mesh: mesh.authority.mesh,
        name: 'stranger',
        publicKey,
        roles,
        notBefore: Date.now() + dates.from,
        notAfter: Date.now() + dates.to,
      },
      mesh.authority.root,
    )

  /** It joins as well as it can and asks; nobody knows it and nobody answers. */
  async function isKeptOut(credentials: Credentials): Promise<void> {
    asked = []
    const before = await tap.refused()
    const stranger = await Traitor.join(credentials, await mesh.connect(credentials))
    try {
      stranger.send(there.self, {}, ['honest', Who.name, '', null])
      await eventually(async () => assert.equal(await tap.refused(), before + 1))
      assert.equal(here.directory.node('stranger'), undefined)
      assert.equal(there.directory.peer(stranger.self.id), undefined)
      assert.deepEqual(asked, [])
    } finally {
      await stranger.close()
    }
  }

  it('a member with a valid certificate is let in by the same means', async () => {
    asked = []
    const credentials = holding((publicKey) => certificate(publicKey, { from: 0, to: day }))
    const stranger = await Traitor.join(credentials, await mesh.connect(credentials))
    stranger.send(there.self, {}, ['honest', Who.name, '', null])
    await eventually(() => assert.deepEqual(asked, ['stranger']))
    await stranger.close()
  })

  it('certificate-of-another-mesh', () =>
    isKeptOut(holding((publicKey) => createAuthority().certify('stranger', ['authority'], publicKey, Date.now()))))

  it('expired-certificate', () =>
    isKeptOut(holding((publicKey) => certificate(publicKey, { from: -2 * day, to: -day }))))

  it('certificate-not-yet-valid', () =>
    isKeptOut(holding((publicKey) => certificate(publicKey, { from: day, to: 2 * day }))))

  it('certificate-signed-by-its-holder', () =>
    isKeptOut(
      holding((publicKey) => {
        const root = signingKey()
        const now = Date.now()
        const body = {
          mesh: mesh.authority.mesh,
          name: 'stranger',
          publicKey,
          roles: ['authority' as const],
          notBefore: now,
          notAfter: now + day,
        }
        return issueCertificate(body, root)
      }),
    ))

  it('stolen-certificate: of another node, without its signing key', async () => {
    const friend = enrol(mesh.authority, { name: 'friend', roles: ['supervisor'] }, Date.now())
    await isKeptOut({ ...friend, signing: signingKey() })
    assert.equal(here.directory.node('friend'), undefined)
  })

  it('forged-entry: bytes that no member sealed', async () => {
    await tap.bucket.put(key('there'), randomBytes(200))
    await tap.bucket.put(key('ghost'), randomBytes(200))
    const self = beginIncarnation(enrol(createAuthority(), { name: 'ghost', roles: ['authority'] }, Date.now()))
    const entry = encode([self.announcement, 1, Date.now(), false, 1, {}])
    await tap.bucket.put(key('ghost'), sealWith(randomBytes(32), entry, utf8(key('ghost'))))
    await works()
    assert.equal(here.directory.node('ghost'), undefined)
  })

  it('moved-entry: one actor under the key of another', async () => {
    await here.spawn(honest('other'))
    const entry = await tap.bucket.get(tap.addresses.actorKey('other'))
    assert.ok(entry?.value)
    await tap.bucket.put(tap.addresses.actorKey('honest'), entry.value)
    await works()
    assert.equal(here.directory.locate('honest')?.id, there.self.id)
  })

  it('deleted-entry: the next beat brings the node back', async () => {
    // Told by an event: the next beat may come so soon that looking from time to time would miss it.
    const lost: string[] = []
    here.directory.onLost(({ name }) => lost.push(name))
    await tap.bucket.delete(key('there'))
    await eventually(() => assert.ok(lost.includes('there')))
    await eventually(() => assert.equal(here.directory.node('there')?.peer.id, there.self.id))
    await works()
  })

  it('rolled-back-entry: an ended run does not come back to life', async () => {
    const credentials = enrol(mesh.authority, { name: 'phoenix', roles: ['worker'] }, Date.now())
    const first = await mesh.join('phoenix', { credentials })
    await eventually(() => assert.equal(here.directory.node('phoenix')?.peer.id, first.self.id))
    const old = await tap.bucket.get(key('phoenix'))
    assert.ok(old?.value)
    await first.close()
    const second = await mesh.join('phoenix', { credentials })
    await second.spawn(honest('reborn'))
    await eventually(() => assert.equal(here.directory.node('phoenix')?.peer.id, second.self.id))
    await tap.bucket.put(key('phoenix'), old.value)
    await eventually(async () => assert.equal(await here.ref('reborn').ask(Who, null, { timeoutMs: 1000 }), 'reborn'))
    assert.equal(here.directory.node('phoenix')?.peer.id, second.self.id)
    assert.equal(here.nodes().filter(({ name }) => name === 'phoenix').length, 1)
    await second.close()
  })
})
