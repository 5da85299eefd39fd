/** What is recorded of a task is sealed to the person whom it is about, on every node that the task comes to. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import type { DatedEvent } from '../../mesh/audit/event.js'
import { Opener } from '../../mesh/audit/opener.js'
import { TrailReader } from '../../mesh/audit/reader.js'
import { actor, type MeshNode, message, on } from '../../mesh/index.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import type { SubjectSecrets } from '../../mesh/seal/subject-store.js'
import type { Stored } from '../../mesh/transport/transport.js'
import { memoryMesh, type TestMesh } from '../kit/mesh.js'

const Work = message('work', { request: z.string(), reply: z.null() })

/** Records what it is asked, and has the next one do the same. */
const worker = (node: MeshNode, next: string | undefined) =>
  actor('worker', () => [
    on(Work, async (words, context) => {
      await node.audit.record({ kind: 'thought.asked', trace: context.trace, actor: 'worker', facts: { words } })
      if (next !== undefined) await node.ref(next).ask(Work, words, context)
      return null
    }),
  ])

describe('filing', () => {
  let mesh: TestMesh
  let first: MeshNode
  let nodes: MeshNode[]
  before(async () => {
    mesh = await memoryMesh()
    first = await mesh.join('first')
    const second = await mesh.join('second')
    const third = await mesh.join('third')
    nodes = [first, second, third]
    await third.spawn(worker(third, undefined), { as: 'worker-3' })
    await second.spawn(worker(second, 'worker-3'), { as: 'worker-2' })
    await first.directory.wait(() => first.directory.locate('worker-2'), 5000)
  })
  after(() => mesh.close())

  const events = async (subjects: SubjectSecrets = mesh.authority.subjects): Promise<DatedEvent[]> => {
    const { authority } = mesh
    const transport = await mesh.connect()
    const stored: Stored[] = []
    for await (const one of transport.log(addressesOf(authority.mesh, authority.meshKey).auditStream).read())
      stored.push(one)
    await transport.close()
    const opener = new Opener(authority.auditor, subjects)
    return new TrailReader(authority.root.publicKey, []).take(stored).flatMap((record) => opener.open(record))
  }
  const do3 = async (trace: string, words: string) => {
    await first.audit.record({ kind: 'task.started', trace, actor: 'me', facts: { words } })
    await first.ref('worker-2').ask(Work, words, { trace })
  }
  const wordsOf = (all: DatedEvent[], trace: string) =>
    all.filter((event) => event.trace === trace).map(({ facts }) => facts)

  it('travels with the task to each node that records something of it, and an erased key opens none of that', async () => {
    const { subjects } = mesh.authority
    for (const name of ['ada', 'bob']) first.file(`of ${name}`, subjects.keyOf(name))
    await Promise.all([do3('of ada', 'about Ada'), do3('of bob', 'about Bob'), do3('of nobody', 'about nobody')])
    await Promise.all(nodes.map((node) => node.audit.flush(60_000)))
    const said = (words: string) => [{ words }, { words }, { words }]
    const all = await events()
    assert.deepEqual(wordsOf(all, 'of ada'), said('about Ada'))
    // The auditors' key alone opens what is about nobody.
    const auditor = await events({ secretOf: () => undefined })
    assert.deepEqual(wordsOf(auditor, 'of nobody'), said('about nobody'))
    assert.ok(
      auditor.filter(({ trace }) => trace !== 'of nobody' && trace !== '').every(({ unreadable }) => unreadable),
    )
    subjects.erase('ada', Date.now())
    const later = await events()
    const erased = { erased: true }
    assert.deepEqual(wordsOf(later, 'of ada'), [erased, erased, erased])
    assert.deepEqual(wordsOf(later, 'of bob'), said('about Bob'))
    assert.deepEqual(
      later.map(({ time, kind, trace, actor }) => [time, kind, trace, actor]),
      all.map(({ time, kind, trace, actor }) => [time, kind, trace, actor]),
    )
    // Under way still: what comes of it is erased as it is written. Asked for anew: it has a new key.
    await do3('of ada', 'too late')
    first.file('of ada again', subjects.keyOf('ada'))
    await do3('of ada again', 'Ada is back')
    await Promise.all(nodes.map((node) => node.audit.flush(60_000)))
    const last = await events()
    assert.deepEqual(wordsOf(last, 'of ada'), Array(6).fill(erased))
    assert.deepEqual(wordsOf(last, 'of ada again'), said('Ada is back'))
  })

  it('takes no key that the authority did not give out', async () => {
    const stranger = createAuthority().subjects.keyOf('ada')
    assert.throws(() => first.file('t', stranger), { code: 'UNAUTHENTIC' })
  })
})
