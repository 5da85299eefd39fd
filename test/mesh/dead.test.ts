/** Messages that nobody waits for and that are not handled: each is kept, sealed, or said not to be. On a real broker. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { latestTime } from '../../mesh/codec.js'
import { type DeadLetter, mostKeptBytes, writeDeadLetter } from '../../mesh/dead/letter.js'
import { replayOf } from '../../mesh/dead/replay.js'
import { DeadStream, deadLimits } from '../../mesh/dead/stream.js'
import { DeadLetters } from '../../mesh/dead/writer.js'
import { actor, type MeshNode, message, nothing, on } from '../../mesh/index.js'
import type { Certificate } from '../../mesh/seal/certificate.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { provideBounded } from '../../mesh/transport/nats-log.js'
import type { AppendLog, Transport } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { roles } from '../../policies/roles.js'
import { auditEvents } from '../kit/events.js'
import { eventually } from '../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../kit/mesh.js'

const Note = message('test.note', { request: z.string(), reply: nothing, from: ['supervisor', 'worker'] })
const Strange = message('test.strange', { request: z.string(), reply: nothing })
const Barred = message('test.barred', { request: z.string(), reply: nothing, from: ['auditor'] })

/** Holds the first note, so that the others wait; crashes and fails as it is told. */
const moody = (freed: Promise<void>) =>
  actor(
    'moody',
    () => [
      on(Note, async (what) => {
        if (what === 'hold') await freed
        if (what === 'crash') throw new TypeError('a bug')
        if (what === 'fail') throw new ClawmeshError('MODEL_BUSY', 'Not now.')
        return null
      }),
      on(Barred, () => null),
    ],
    { args: z.undefined(), mailbox: 1, concurrency: 1 },
  )

describe('dead letters', () => {
  let mesh: NatsMesh
  let here: MeshNode
  let there: MeshNode
  let dead: DeadStream
  let records: AppendLog
  let authority: Transport
  let auditor: Transport

  before(async () => {
    mesh = await natsMesh()
    here = await mesh.join('here')
    there = await mesh.join('there', { roles: ['worker'] })
    const { deadStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    authority = await mesh.connectAsAuthority()
    auditor = await mesh.connectAsAuditor()
    records = authority.log(deadStream)
    dead = new DeadStream(authority.log(deadStream), mesh.authority)
  })
  after(async () => {
    await authority.close()
    await auditor.close()
    await mesh.close()
  })

  const letters = async () => (await dead.list()).kept.map(({ letter }) => letter)
  const letterSaying = (content: string) =>
    eventually(async () => {
      const found = (await letters()).find(({ request }) => request?.content === content)
      assert.ok(found, `no dead letter says ${content}`)
      return found
    })

  it('are what finds a full mailbox, no time, no such message, a failure or a crash: with why, and whether it had begun', async () => {
    let free: () => void = () => undefined
    await there.spawn(moody(new Promise((resolve) => (free = resolve))), { as: 'moody' })
    const ref = here.ref('moody')
    await ref.tell(Note, 'hold')
    const deadline = Date.now() + 1500
    await ref.tell(Note, 'late', { deadline, trace: 'task-1' })
    await ref.tell(Note, 'full')
    const full = await letterSaying('full')
    assert.deepEqual(
      [full.code, full.begun, full.sender.name, full.writer.name, full.actor, full.message, full.to],
      ['MAILBOX_FULL', false, 'here', 'there', 'moody', 'test.note', 'members'],
    )
    await eventually(() => assert.ok(Date.now() > deadline))
    free()
    const late = await letterSaying('late')
    assert.deepEqual([late.code, late.begun, late.trace], ['DEADLINE', false, 'task-1'])
    await ref.tell(Strange, 'strange')
    const strange = await letterSaying('strange')
    assert.deepEqual([strange.code, strange.begun, strange.to], ['UNKNOWN_MESSAGE', false, ['worker']])
    await ref.tell(Note, 'fail')
    const failed = await letterSaying('fail')
    assert.deepEqual([failed.code, failed.begun], ['MODEL_BUSY', true])
    await ref.tell(Note, 'crash')
    const crashed = await letterSaying('crash')
    assert.deepEqual([crashed.code, crashed.begun], ['ACTOR_CRASHED', true])
  })

  it('are not what somebody waits for, nor what was refused', async () => {
    const before = (await letters()).length
    await there.spawn(moody(Promise.resolve()), { as: 'second' })
    await assert.rejects(here.ref('second').ask(Note, 'fail'), { code: 'MODEL_BUSY' })
    await here.ref('second').tell(Barred, 'barred')
    await here.ref('second').ask(Note, 'fine')
    // What comes after them is there, and they are not.
    await here.ref('second').tell(Strange, 'marker')
    await letterSaying('marker')
    assert.equal((await letters()).length, before + 1)
  })

  it('are what waits for a node that is lost before it could be sent', async () => {
    const mute = await mesh.join('mute', { roles: ['worker'] })
    await mute.spawn(moody(Promise.resolve()), { as: 'unheard' })
    await here.directory.wait(() => here.directory.locate('unheard'), 60_000)
    const credentials = enrol(mesh.authority, { name: 'deaf', roles: ['worker'] }, Date.now())
    const transport = await mesh.connect(credentials)
    // Nothing that it says leaves it: no handshake is ever answered.
    const deaf = await mesh.join('deaf', {
      credentials,
      transport: Object.assign(transport, { publish: () => undefined }),
    })
    await deaf.directory.wait(() => deaf.directory.locate('unheard'), 60_000)
    await deaf.ref('unheard').tell(Note, 'went with the hello')
    await new Promise((resolve) => setImmediate(resolve))
    await deaf.ref('unheard').tell(Note, 'waited for the welcome')
    await mute.close()
    const lost = await letterSaying('waited for the welcome')
    assert.deepEqual(
      [lost.code, lost.sender.name, lost.writer.name, lost.begun],
      ['UNREACHABLE', 'deaf', 'deaf', false],
    )
  })

  it('do not read with a time that no Date holds, and the others are listed all the same', async () => {
    const credentials = enrol(mesh.authority, { name: 'untimely', roles: ['worker'] }, Date.now())
    const transport = await mesh.connect(credentials)
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const lost = { code: 'DEADLINE', reason: '', begun: false, actor: 'y', message: 'z', trace: '', deadline: 0 }
    const from = credentials.certificate
    const { id, wire } = writeDeadLetter({ ...lost, from, to: 'members', content: null }, 1e300, credentials)
    const before = await dead.list()
    await transport.log(addresses.deadStream).append(addresses.dead(from.holder, from.holder), id, wire)
    const { kept, unreadable } = await dead.list()
    assert.deepEqual([kept.length, unreadable], [before.kept.length, before.unreadable + 1])
    for (const { letter } of kept) assert.ok(new Date(letter.at).toISOString())
    await transport.close()
  })

  it('are sent once more with no right that their writer could gain by', () => {
    const [plain, boss, box] = (['worker', 'supervisor', 'sandbox'] as const).map(
      (role) => enrol(mesh.authority, { name: role, roles: [role] }, Date.now()).certificate,
    ) as [Certificate, Certificate, Certificate]
    const letter = (sender: Certificate, writer: Certificate) =>
      ({ id: 'x', actor: 'a', to: 'members', sender, writer }) as unknown as DeadLetter
    const denied = { code: 'DENIED' }
    assert.deepEqual(replayOf(letter(plain, plain), undefined), { roles: ['worker'], to: 'members' })
    assert.deepEqual(replayOf(letter(boss, box), box), { roles: ['supervisor'], to: ['sandbox'] })
    assert.throws(() => replayOf(letter(boss, plain), undefined), denied)
    assert.throws(() => replayOf(letter(boss, plain), box), denied)
    const chief = enrol(mesh.authority, { name: 'chief', roles: ['authority', 'gateway'] }, Date.now()).certificate
    assert.deepEqual(replayOf(letter(chief, chief), undefined).roles, ['gateway'])
  })

  it('are read by the auditors’ key alone, and kept from members', async () => {
    for await (const { bytes } of records.read()) assert.ok(!Buffer.from(bytes).includes('strange'))
    const credentials = enrol(mesh.authority, { name: 'thief', roles: ['worker'] }, Date.now())
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const { holder } = credentials.certificate
    const member = await mesh.plain(await mesh.memberUser(credentials))
    const { kept: before, unreadable: none } = await dead.list()
    const [first] = before
    const forbidden = [
      `$JS.API.STREAM.MSG.DELETE.${addresses.deadStream}`,
      `$JS.API.STREAM.MSG.GET.${addresses.deadStream}`,
      `$JS.API.STREAM.PURGE.${addresses.deadStream}`,
      addresses.dead(there.self.certificate.holder, holder),
      // A sender that there is not, for a place that nobody counts.
      `${addresses.dead(holder, holder)}${holder}`,
    ]
    for (const subject of forbidden)
      await assert.rejects(member.request(subject, JSON.stringify({ seq: first?.sequence }), { timeout: 300 }), subject)
    await member.request(addresses.dead(holder, holder), 'no letter', { timeout: 30_000 })
    await member.close()
    const { kept, unreadable } = await dead.list()
    assert.deepEqual([kept[0]?.letter.id, unreadable], [first?.letter.id, none + 1])
  })

  it('are so many of one sender, and each is on the trail though the oldest are gone', async () => {
    await there.spawn(moody(Promise.resolve()), { as: 'flooded' })
    const flood = deadLimits.perSubject + 10
    const before = await records.last()
    for (let number = 0; number < flood; number += 1) await here.ref('flooded').tell(Strange, `flood ${number}`)
    await eventually(async () => assert.equal(await records.last(), before + flood), 60_000)
    const all = await letters()
    assert.equal(
      all.filter(({ sender, writer }) => sender.name === 'here' && writer.name === 'there').length,
      deadLimits.perSubject,
    )
    assert.ok(
      all.some(({ sender }) => sender.name === 'deaf'),
      'a flood pushed out the letters of others',
    )
    await eventually(async () => {
      const counted = (await auditEvents(mesh, auditor)).flatMap(({ kind, facts }) =>
        kind === 'message.denied' && /"flooded" does not answer test.strange/.test(String(facts['reason']))
          ? [Number(facts['count'])]
          : [],
      )
      assert.equal(
        counted.reduce((sum, count) => sum + count, 0),
        flood,
      )
    })
  })

  it('keep a stream of an earlier version, which takes the limits of this one', async () => {
    const connection = await mesh.plain(await mesh.accounts.administrator('mesh'))
    const earlier = { ...deadLimits, perSubject: 200, messageBytes: -1 }
    for (const limits of [earlier, deadLimits]) await provideBounded(connection, 'earlier', 'earlier.*', limits, 1)
    const { config } = await (await jetstreamManager(connection)).streams.info('earlier')
    assert.deepEqual(
      [config.max_msgs_per_subject, config.max_msg_size],
      [deadLimits.perSubject, deadLimits.messageBytes],
    )
    await connection.close()
  })

  it('have a share of the stream that no member exceeds, however long what it says and whoever it says sent it', async () => {
    const credentials = enrol(mesh.authority, { name: 'x'.repeat(63), roles: [...roles] }, Date.now())
    const transport = await mesh.connect(credentials)
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const { deadStream } = addresses
    const writer = new DeadLetters({ credentials, addresses, log: transport.log(deadStream), now: Date.now })
    const long = '\u{10ffff}'.repeat(5000)
    const whole = { code: 'ACTOR_CRASHED', begun: true, trace: long, actor: long, message: long, reason: long }
    const content = 'k'.repeat(mostKeptBytes - 3)
    const from = credentials.certificate
    assert.ok(writer.keep({ ...whole, deadline: 1e300, to: roles, content, from }))
    const kept = await letterSaying(content)
    assert.ok(kept.deadline <= latestTime)
    const member = await mesh.plain(await mesh.memberUser(credentials))
    const tooLong = new Uint8Array(deadLimits.messageBytes + 1)
    const answer = await member.request(addresses.dead(from.holder, from.holder), tooLong, { timeout: 30_000 })
    assert.match(answer.string(), /maximum allowed/)
    await member.close()
    await writer.close(60_000)
    await transport.close()
  })

  it('wait for a broker that is away, so many, and the next is said to be lost', async () => {
    const { certificate, signing, auditorKey } = enrol(
      mesh.authority,
      { name: 'writer', roles: ['worker'] },
      Date.now(),
    )
    const appended: string[] = []
    let isThere = false
    const log: AppendLog = {
      append: async (subject) => {
        if (!isThere) throw new ClawmeshError('BROKER_UNAVAILABLE', 'away')
        appended.push(subject)
      },
      read: () => assert.fail(),
      follow: () => assert.fail(),
      last: () => assert.fail(),
    }
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const writer = new DeadLetters({ credentials: { certificate, signing, auditorKey }, addresses, log, now: Date.now })
    const lost = {
      code: 'DEADLINE',
      reason: '',
      begun: false,
      from: certificate,
      actor: 'y',
      message: 'z',
      trace: '',
      deadline: 0,
    }
    const keep = () => writer.keep({ ...lost, to: 'members', content: 'w' })
    let taken = 0
    while (keep()) taken += 1
    assert.equal(taken, 1000)
    isThere = true
    await eventually(() => assert.equal(appended.length, taken))
    assert.ok(keep())
    await writer.close(60_000)
    assert.equal(appended.length, taken + 1)
  })
})
