/** `clawmesh dead …`, as the shipped command, in a mesh that runs. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { DeadStream } from '../../mesh/dead/stream.js'
import { DeadLetters } from '../../mesh/dead/writer.js'
import { actor, type MeshNode, message, nothing, on } from '../../mesh/index.js'
import type { Certificate } from '../../mesh/seal/certificate.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { openLiveGround } from '../../nodes/authority/live.js'
import { dataPaths } from '../../nodes/data-folder.js'
import { readAccess } from '../../nodes/member/access.js'
import { joinAsGuest } from '../../nodes/member/guest.js'
import { nodeFiles } from '../../nodes/member/member.js'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { Machine } from './machine.js'

const Note = message('test.note', { request: z.string(), reply: nothing })
/** Of supervisors alone; a worker may say that it is for all. */
const Open = message('test.open', { request: z.string(), reply: z.string(), from: ['supervisor'] })
const OpenToAll = message('test.open', { request: z.string(), reply: z.string() })
const listSchema = z.object({
  letters: z.array(z.object({ id: z.string(), code: z.string(), begun: z.boolean(), actor: z.string() })),
})

describe('clawmesh dead', () => {
  const machine = new Machine()
  let supervisor: MeshNode
  let worker: MeshNode
  let stream: DeadStream
  const handled: string[] = []
  const opened: string[] = []
  const undo: (() => Promise<void>)[] = []

  before(async () => {
    await machine.up('--name', 'home')
    const ground = (await openLiveGround(machine.data)) ?? assert.fail('no mesh runs')
    undo.push(() => ground.close())
    stream = new DeadStream(ground.transport.log(ground.addresses.deadStream), ground.authority)
    const { node, end } = await joinAsGuest(ground, machine.data, ['supervisor'])
    undo.push(end)
    supervisor = node
    const { node: plain, end: leave } = await joinAsGuest(ground, machine.data, ['worker'])
    undo.push(leave)
    worker = plain
    let crashes = true
    const notes = actor('notes', () => [
      on(Note, (what) => {
        if (crashes) throw new TypeError('a bug')
        handled.push(what)
        return null
      }),
    ])
    await node.spawn(notes)
    await node.ref('notes').tell(Note, 'Remember the milk.')
    await eventually(() => assert.equal(node.directory.locate('notes'), undefined))
    crashes = false
    await node.spawn(notes)
    await node.ref('node/home').tell(Note, 'Nobody understands this.')
  })
  after(async () => {
    for (const step of undo.reverse()) await step()
    await machine.remove()
  })

  const list = async () => listSchema.parse(JSON.parse((await machine.do('dead', 'list', '--json')).stdout)).letters

  it('lists, shows, sends once more and drops what could not be delivered, and the trail says who did', async () => {
    const [crashed, strange] = await eventually(async () => {
      const letters = await list()
      const sorted = ['ACTOR_CRASHED', 'UNKNOWN_MESSAGE'].map((code) => letters.find((letter) => letter.code === code))
      assert.ok(sorted.every((letter) => letter))
      return sorted
    }, 20_000)
    assert.ok(crashed?.begun && strange && !strange.begun)
    const shown = await machine.do('dead', 'show', crashed.id.slice(0, 8))
    assert.match(
      shown.stdout,
      /test\.note to notes from runner-1, says runner-1: .*a bug[\s\S]*its handler had been called[\s\S]*Remember the milk/,
    )

    const careful = await machine.do('dead', 'replay', crashed.id)
    assert.deepEqual([careful.status, handled], [2, []], careful.stderr)
    assert.match(careful.stderr, /had been called: what it did is not known/)
    const replayed = await machine.do('dead', 'replay', crashed.id, '--again')
    assert.deepEqual([replayed.status, handled], [0, ['Remember the milk.']], replayed.stderr)
    assert.match(replayed.stdout, /^notes answered dead letter .*: null$/m)

    const dropped = await machine.do('dead', 'drop', strange.id)
    assert.equal(dropped.status, 0, dropped.stderr)
    assert.deepEqual(await list(), [])

    const { stdout } = await machine.do('audit', 'query', '--json', '--kind', 'dead')
    const outcomes = [...stdout.matchAll(/"kind":"dead\.(\w+)".*?"id":"(\w+)".*?(?:"outcome":("?\w+"?))?[,}]/g)]
    assert.ok(outcomes.some(([, kind, id]) => kind === 'replayed' && id === crashed.id))
    assert.ok(outcomes.some(([, kind, id]) => kind === 'dropped' && id === strange.id))
  })

  it('lends nobody a right: a worker’s letter, honest or forged, does not open what is for supervisors', async () => {
    const letterBy = (by: MeshNode, from: MeshNode) =>
      eventually(async () => {
        const { kept } = await stream.list()
        const found = kept.find(
          ({ letter: { actor, writer, sender } }) =>
            actor === 'vault' && writer.name === by.name && sender.name === from.name,
        )
        return found?.letter ?? assert.fail(`${by.name} wrote no letter of ${from.name}`)
      })
    const opensNot = async (by: MeshNode, from: MeshNode, why: RegExp) => {
      const { id } = await letterBy(by, from)
      const replayed = await machine.do('dead', 'replay', id)
      assert.deepEqual([replayed.status, opened], [3, []], replayed.stdout)
      assert.match(replayed.stderr, why)
      await letterBy(by, from)
    }
    // Where nobody knows yet for whom it is, it is kept for all; then it turns out to be for supervisors.
    await supervisor.spawn(actor('vault', () => [on(Note, () => null)]))
    await worker.ref('vault').tell(OpenToAll, 'a worker')
    await letterBy(supervisor, worker)
    await supervisor.stop('vault')
    const openable = on(Open, (who) => {
      opened.push(who)
      if (opened.length === 1) throw new ClawmeshError('MODEL_BUSY', 'Not now.')
      return `opened for ${who}`
    })
    await supervisor.spawn(actor('vault', () => [openable]))
    await opensNot(supervisor, worker, /may be sent by supervisor/)
    await forge(worker.self.certificate)
    await opensNot(worker, worker, /may be sent by supervisor/)
    await forge(supervisor.self.certificate)
    await opensNot(worker, supervisor, /may not do what that one may, and vault does not run there/)

    await supervisor.ref('vault').tell(Open, 'a supervisor')
    const { id } = await letterBy(supervisor, supervisor)
    const { stdout } = await machine.do('dead', 'replay', id, '--again')
    assert.match(stdout, /^vault answered dead letter .*: "opened for a supervisor"$/m)
  })

  it('is not what waits for its actor still: that is mail, and shown beside', async () => {
    await supervisor.ref('nowhere').mail(Note, 'Buy bread.')
    const { stdout } = await machine.do('mail', 'list')
    assert.match(stdout, /^[0-9a-f]{12} {2}test\.note to nowhere from \S+, \d+ bytes, until /)
    assert.doesNotMatch(stdout, /bread/)
    const { mail } = JSON.parse((await machine.do('mail', 'list', '--json')).stdout)
    assert.deepEqual([mail.length, mail[0].actor], [1, 'nowhere'])
  })

  /** A letter as the worker's own node would never write it, with its own keys, in its own place. */
  async function forge(from: Certificate): Promise<void> {
    const files = nodeFiles(dataPaths(machine.data), worker.name)
    const credentials = readCredentials(files.credentials, undefined)
    const { certificate, mesh, meshKey } = credentials
    const transport = await connectNats({ ...readAccess(files.access), name: certificate.holder })
    const addresses = addressesOf(mesh, meshKey)
    const log = transport.log(addresses.deadStream)
    const writer = new DeadLetters({ credentials, addresses, log, now: Date.now })
    const lost = { code: 'MAILBOX_FULL', reason: 'full', begun: false, trace: '', deadline: 0 }
    writer.keep({ ...lost, from, actor: 'vault', message: 'test.open', to: 'members', content: 'a thief' })
    await writer.close(5000)
    await transport.close()
  }
})
