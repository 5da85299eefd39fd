/** The mesh's policy on its nodes: taken while they run, only if the authority signed it, it is newer and it holds; and each decision says which one it was made under. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../../mesh/address.js'
import { actor, type MeshNode, on } from '../../../mesh/index.js'
import { type Authority, createAuthority } from '../../../mesh/seal/authority.js'
import { sealWith } from '../../../mesh/seal/box.js'
import { writeEdition } from '../../../mesh/seal/edition.js'
import { utf8 } from '../../../mesh/seal/keys.js'
import type { Transport } from '../../../mesh/transport/transport.js'
import { publishPolicy } from '../../../nodes/authority/policy-book.js'
import { driftOf, policyAdvertSchema, StandingPolicy } from '../../../nodes/process/standing-policy.js'
import { AskApproval, approverName } from '../../../sandbox/approval.js'
import { RunAction, sandboxName, sandboxService } from '../../../sandbox/service.js'
import { auditEvents } from '../../kit/events.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../../kit/mesh.js'

const reading = 'filesystem_policy: { read_only: [.] }'
const asking = 'ask: [{ read: . }]'
const nothing = '{}'

describe('the policy of a mesh', () => {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  const file = join(folder, 'policy.edition')
  let mesh: TestMesh
  let transport: Transport
  let asker: MeshNode
  let box: MeshNode
  let own: MeshNode
  let standing: StandingPolicy
  /** What the approver does before it says yes. */
  let meanwhile = async () => undefined as unknown
  before(async () => {
    writeFileSync(join(folder, 'notes.txt'), 'one\ntwo\n')
    mesh = await memoryMesh()
    transport = await mesh.connect()
    asker = await mesh.join('asker', { roles: ['supervisor', 'gateway'] })
    await asker.spawn(
      actor(approverName, () => [
        on(AskApproval, async () => {
          await meanwhile()
          return { answer: 'allow' as const, by: 'ada' }
        }),
      ]),
    )
    ;[box, own] = await Promise.all([sandboxed('box', true), sandboxed('own', false)])
  })
  after(async () => {
    await mesh.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function sandboxed(name: string, follows: boolean): Promise<MeshNode> {
    const node = await mesh.join(name, { roles: ['sandbox'] })
    const policy = standingOf(follows)
    if (follows) standing = policy
    await policy.begin(node)
    const service = sandboxService(node, { workspace: folder, profile: policy.current })
    await node.spawn(service, { as: sandboxName(name) })
    return node
  }

  function standingOf(follows: boolean): StandingPolicy {
    const { mesh: id, root } = mesh.authority
    return new StandingPolicy({ name: 'reading', text: reading, follows, file, mesh: id, rootKey: root.publicKey })
  }

  /** Puts a text in force as this version, as the authority or somebody else; `over`: over whatever is there, as any member can. */
  async function publish(
    version: number,
    text: string,
    authority: Authority = mesh.authority,
    over = false,
  ): Promise<void> {
    const { mesh: id, meshKey } = mesh.authority
    const edition = writeEdition(
      id,
      { version, previous: '', time: Date.now(), by: 'ada', name: `p${version}`, reason: '', text },
      authority.root,
    )
    const addresses = addressesOf(id, meshKey)
    if (!over) return publishPolicy(edition, { authority: mesh.authority, transport, addresses })
    const bucket = await transport.bucket(addresses.directory)
    await bucket.put(addresses.policyKey, sealWith(meshKey, edition.wire, utf8(addresses.policyKey)))
  }

  const said = (node: MeshNode) => policyAdvertSchema.parse(asker.directory.node(node.name)?.advert['policy'])
  const taken = (version: number) => eventually(() => assert.equal(said(box).version, version))
  const act = (node = box) =>
    asker.ref(sandboxName(node.name)).ask(RunAction, { tool: 'count_lines', args: { path: 'notes.txt' } })
  const versions = async (kind: string) =>
    (await auditEvents(mesh)).filter((event) => event.kind === kind).map(({ facts }) => Object(facts['policy']).version)

  it('is taken while a node runs, and each decision names the version that it was made under', async () => {
    assert.equal((await act()).status, 'done')
    await publish(1, nothing)
    await taken(1)
    assert.equal((await act()).status, 'denied')
    await publish(2, reading)
    await taken(2)
    assert.equal((await act()).status, 'done')
    await eventually(async () => {
      assert.deepEqual(await versions('action.ended'), [null, 1, 2])
      assert.deepEqual(await versions('action.intended'), [null, 2])
    })
  })

  it('leaves alone a node whose person named another, which is said', async () => {
    assert.equal((await act(own)).status, 'done')
    assert.equal(said(own).version, null)
    assert.equal(driftOf(said(own), { version: 2, text: reading }), 'a policy of its own')
    assert.equal(driftOf(said(box), { version: 2, text: reading }), undefined)
    assert.equal(driftOf(said(box), { version: 3, text: reading }), 'version 2 of 3')
  })

  it('stays as it is where a version does not hold, and that is on record', async () => {
    await publish(3, 'filesystem_policy: { read_everything: true }')
    await eventually(() => assert.equal(said(box).refused?.version, 3))
    assert.match(said(box).refused?.why ?? '', /read_everything is not a known field/)
    assert.equal(driftOf(said(box), asker.directory.policy), 'cannot take version 3')
    assert.equal((await act()).status, 'done')
    assert.equal(said(box).version, 2)
    await eventually(async () => {
      const refused = (await auditEvents(mesh)).filter(({ kind }) => kind === 'policy.refused')
      assert.deepEqual(
        refused.map(({ facts }) => [facts['version'], facts['code']]),
        [[3, 'POLICY_INVALID']],
      )
    })
  })

  it('is not talked out of a version by an older one, nor by anybody but the authority', async () => {
    await publish(4, nothing)
    await taken(4)
    await publish(2, reading, mesh.authority, true)
    await publish(9, reading, createAuthority(), true)
    await publish(5, asking)
    await taken(5)
    assert.equal(asker.directory.policy?.version, 5)
  })

  it('is the newest for who comes new, also where two were applied at once and the older one was told last', async () => {
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const bucket = await transport.bucket(addresses.directory)
    const { revision } = (await bucket.get(addresses.policyKey)) ?? {}
    await publish(4, nothing)
    assert.equal((await bucket.get(addresses.policyKey))?.revision, revision)
    await bucket.put(addresses.policyKey, utf8('what some member put there'))
    await publish(5, asking)
    const late = await mesh.join('late', { roles: ['sandbox'] })
    await eventually(() => assert.equal(late.directory.policy?.version, 5))
    await late.close()
  })

  it('runs nothing that a person allowed under a policy that is no longer in force', async () => {
    assert.equal((await act()).status, 'done')
    meanwhile = async () => {
      await publish(6, nothing)
      await taken(6)
    }
    await assert.rejects(act(), /The policy changed while count_lines waited/)
    assert.equal((await act()).status, 'denied')
  })

  it('is no other under the same number, as of an authority that was restored: it is refused, and told', async () => {
    const before = said(box)
    await publish(6, reading)
    await eventually(() => assert.match(said(box).refused?.why ?? '', /Version 6 was another policy/))
    assert.equal(asker.directory.policy?.text, reading)
    assert.equal(driftOf(before, asker.directory.policy), 'another version 6')
    assert.equal(standing.current().policy.digest, before.digest)
    await publish(7, reading)
    await taken(7)
    assert.equal(driftOf(said(box), asker.directory.policy), undefined)
  })

  it('is tried again where it could not be kept, and that is told until it is in force', async () => {
    const inTheWay = `${file}.${process.pid}.new`
    mkdirSync(inTheWay)
    await publish(8, nothing)
    await eventually(() => assert.match(said(box).refused?.why ?? '', /It is tried again\./))
    assert.equal(driftOf(said(box), asker.directory.policy), 'cannot take version 8')
    rmdirSync(inTheWay)
    await taken(8)
    assert.equal(said(box).refused, null)
    assert.equal((await act()).status, 'denied')
  })

  it('is remembered by the node itself, whatever the broker says after its restart', () => {
    assert.equal(standing.current().policy.version, 8)
    assert.equal(standingOf(true).current().policy.version, 8)
    assert.equal(standingOf(false).current().policy.version, null)
    writeFileSync(file, 'x')
    assert.throws(() => standingOf(true))
  })
})
