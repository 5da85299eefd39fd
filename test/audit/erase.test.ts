/** `audit erase` on a mesh that runs, and on one that does not: a person's content is gone, and nothing else is. */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { z } from 'zod'
import type { DatedEvent } from '../../mesh/audit/event.js'
import { checkProof, proofSchema } from '../../mesh/audit/proof.js'
import { message, nothing } from '../../mesh/index.js'
import { mailKey } from '../../mesh/mail/mail.js'
import { Places } from '../../mesh/mail/places.js'
import { eventId, readTrail, strictReader, type TrailEvent } from '../../nodes/audit/read.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { auditErase } from '../../nodes/cli/audit/erase.js'
import { auditCheckpoint, auditProve } from '../../nodes/cli/audit/prove.js'
import { dataSubject } from '../../nodes/data-subject.js'
import type { Site } from '../../nodes/site.js'
import { runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { beginSite, runSite } from './site.js'

const data = temporaryFolder()
after(() => rmSync(data, { recursive: true, force: true }))

/** A task as `run` begins one, with its first event. */
async function begin({ node, tasks, ground }: Site, name: string, request: string): Promise<string> {
  const subject = dataSubject(node, ground.authority.subjects, name)
  const task = await tasks.begin({ request, subject: subject.name })
  subject.file(task.id)
  await node.audit.intend({ kind: 'task.started', trace: task.id, actor: 'supervisor', facts: { request } })
  const used = { model: 'm', seconds: 1 }
  await node.ref('nobody').mail(Note, request, { trace: task.id })
  await node.audit.intend({ kind: 'model.used', trace: task.id, actor: 'supervisor', facts: used })
  return task.id
}

const Note = message('test.note', { request: z.string(), reply: nothing })

async function eventsOf(): Promise<TrailEvent[]> {
  const { authority, log, close } = (await openLiveSource(data)) ?? assert.fail('it does not run')
  const all: TrailEvent[] = []
  for await (const events of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) }))
    all.push(...events)
  await close()
  return all
}

/** What mail says that nobody has taken. */
async function waiting({ ground: { transport, addresses, authority } }: Site): Promise<unknown[]> {
  const places = new Places(await transport.bucket(addresses.mail), mailKey(authority.tasksKey))
  return (await places.read()).standing.flatMap(({ standing }) =>
    standing.state === 'waiting' ? [standing.mail.content] : [],
  )
}

const factsOf = (events: TrailEvent[], trace: string): DatedEvent['facts'][] =>
  events.map((event) => event.open()).flatMap((event) => (event.trace === trace ? [event.facts] : []))

it('a person is erased from a mesh that runs, and another from one that does not; the trail verifies', async () => {
  const { site, close } = await beginSite(data)
  const proved = join(data, 'proof.json')
  const readProof = () => checkProof(proofSchema.parse(JSON.parse(readFileSync(proved, 'utf8'))), root)
  const root = site.ground.authority.root.publicKey
  let bob = ''
  try {
    const ada = await begin(site, 'ada', 'PRIVATE of ada')
    bob = await begin(site, 'bob', 'PRIVATE of bob')
    await site.node.audit.intend({ kind: 'task.started', trace: '', actor: 'me', facts: { of: 'nobody' } })
    const before = await eventsOf()
    const used = { model: 'm', seconds: 1 }
    assert.deepEqual(factsOf(before, ada), [{ request: 'PRIVATE of ada' }, used])
    await auditCheckpoint.run(undefined, { data })
    const id = before.filter((event) => event.open().trace === ada).map(eventId)[0]
    await auditProve.run(id, { data, to: proved, disclose: true })
    assert.deepEqual(readProof().events?.find(({ trace }) => trace === ada)?.facts, { request: 'PRIVATE of ada' })

    await assert.rejects(auditErase.run('eve', { data, yes: true }), { code: 'NOT_FOUND' })
    await assert.rejects(auditErase.run('ada', { data }), { code: 'USAGE' })
    assert.deepEqual(factsOf(await eventsOf(), ada), [{ request: 'PRIVATE of ada' }, used])
    const keys = site.ground.authority.subjects.idsOf('ada')
    assert.equal((await waiting(site)).length, 2)
    assert.equal(await auditErase.run('ada', { data, yes: true, by: 'dpo' }), 0)

    // A reader that had opened it before no longer shows it, once it has looked again.
    await eventually(() => assert.deepEqual(factsOf(before, ada), [{ erased: true }, used]))
    const after = await eventsOf()
    // What it cost is no content.
    assert.deepEqual(factsOf(after, ada), [{ erased: true }, used])
    assert.deepEqual(factsOf(after, bob), [{ request: 'PRIVATE of bob' }, used])
    const said = after.map((event) => event.open())
    const place = ({ time, kind, trace, actor }: DatedEvent) => [time, kind, trace, actor]
    assert.deepEqual(
      said.slice(0, before.length).map(place),
      before.map((event) => place(event.open())),
    )
    assert.ok(said.some(({ facts }) => facts['of'] === 'nobody'))
    const record = said.find(({ kind }) => kind === 'subject.erased')
    assert.deepEqual([record?.actor, record?.facts['keys']], ['dpo', keys])
    assert.ok(!JSON.stringify(record).includes('ada'))
    assert.deepEqual(await waiting(site), ['PRIVATE of bob'])
    assert.deepEqual(
      (await site.tasks.list()).map((task) => task.id),
      [bob],
    )
    await auditProve.run(id, { data, to: proved, disclose: true })
    assert.deepEqual(readProof().events?.find(({ trace }) => trace === ada)?.facts, { undisclosed: true })

    // Asked for anew, it is kept under a new key.
    const again = await begin(site, 'ada', 'ada is back')
    assert.deepEqual(factsOf(await eventsOf(), again), [{ request: 'ada is back' }, used])
  } finally {
    const { verdict, unerased } = await close()
    assert.deepEqual([verdict.faults, unerased], [[], []])
  }
  const [keys, copy] = [join(data, 'authority', 'subjects'), join(data, 'copy')]
  cpSync(keys, copy, { recursive: true })
  const ended = await runCommand(['audit', 'erase', 'bob', '--yes', '--json', '--data', data])
  assert.equal(ended.status, 0, ended.stderr)
  const { events, tasks, mail } = JSON.parse(ended.lastLine)
  assert.deepEqual([events, tasks, mail], [1, [bob], 1])
  const shown = await runCommand(['audit', 'query', '--kind', 'task.started', '--data', data])
  assert.match(shown.stdout, new RegExp(`task.started supervisor ${bob} erased\n`))
  assert.match(shown.stdout, /ada is back/)
  assert.ok(!shown.stdout.includes('PRIVATE'))
  // A backup is put back.
  rmSync(keys, { recursive: true })
  cpSync(copy, keys, { recursive: true })
  const { verdict, unerased } = await runSite(data)
  assert.deepEqual([verdict.faults, unerased], [[], ['bob']])
})
