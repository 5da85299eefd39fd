/** Messages that are kept until they are taken. On a real broker, but for what is about numbers alone. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { pieceBytes } from '../../mesh/body.js'
import { DeadStream } from '../../mesh/dead/stream.js'
import { actor, localMesh, type MeshNode, message, nothing, on, serveMail } from '../../mesh/index.js'
import { mailAllowance, mailKey, mailLimits } from '../../mesh/mail/mail.js'
import { ForgetMail, officeName } from '../../mesh/mail/messages.js'
import { Places } from '../../mesh/mail/places.js'
import { waitingMail } from '../../mesh/mail/serve.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { writeRevocations } from '../../mesh/seal/revocation.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { Bucket, Entry, Transport } from '../../mesh/transport/transport.js'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type NatsMesh, natsMesh } from '../kit/mesh.js'

const Note = message('test.note', { request: z.string(), reply: nothing })
const Order = message('test.order', { request: z.string(), reply: nothing, from: ['authority'] })
const Vouch = message('test.vouch', { request: z.string(), reply: nothing, to: ['auditor'] })

const Stuck = message('test.stuck', { request: z.string(), reply: nothing })

async function entriesOf(bucket: Bucket, keys: string): Promise<Entry[]> {
  const entries: Entry[] = []
  const watch = await bucket.watch((entry) => {
    if (entry.value) entries.push(entry)
  }, keys)
  watch.unsubscribe()
  return entries
}

const code = (wanted: ErrorCode) => (error: unknown) => error instanceof ClawmeshError && error.code === wanted

interface Came {
  text: string
  from: string
  id: string | undefined
}

/** Crashes, fails and refuses, a first or any number of times, as the text says. */
const clerk = (came: Came[]) =>
  actor('clerk', () => [
    on(Note, (text, { sender, mailed }) => {
      const isFirst = !came.some((earlier) => earlier.text === text)
      came.push({ text, from: `${sender.node}: ${sender.roles.join(' ')}`, id: mailed })
      if (text === 'crash' || (isFirst && text === 'crash once')) throw new TypeError('a bug')
      if (isFirst && text === 'busy once') throw new ClawmeshError('MODEL_BUSY', 'Not now.')
      if (text === 'refuse') throw new ClawmeshError('USAGE', 'Never.')
      return null
    }),
    on(Order, () => assert.fail('an order of nobody who may give one')),
    on(Vouch, () => null),
    on(Stuck, () => {
      throw new ClawmeshError('MODEL_BUSY', 'Not now, nor later.')
    }),
  ])

describe('mail', () => {
  let mesh: NatsMesh
  let office: MeshNode
  let sender: MeshNode
  let host: MeshNode
  let authority: Transport
  let dead: DeadStream
  const addresses = () => addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
  const openOffice = async () => {
    const node = await mesh.join('office', { roles: ['authority'] })
    await serveMail(node, { bucket: await authority.bucket(addresses().mail), secret: mesh.authority.tasksKey })
    return node
  }
  const letterSaying = (content: string) =>
    eventually(async () => {
      const found = (await dead.list()).kept.find(({ letter: { request } }) => request?.content === content)
      assert.ok(found, `no dead letter says ${content}`)
      return found.letter
    })

  before(async () => {
    mesh = await natsMesh()
    authority = await mesh.connectAsAuthority()
    dead = new DeadStream(authority.log(addresses().deadStream), mesh.authority)
    office = await openOffice()
    sender = await mesh.join('sender', { roles: ['worker'] })
    host = await mesh.join('host', { roles: ['worker'] })
  })
  after(async () => {
    await authority.close()
    await mesh.close()
  })

  it('waits, sealed, for an actor that is nowhere yet, through the end of its sender and of the office, and comes in order', async () => {
    const passing = await mesh.join('passing', { roles: ['gateway'] })
    for (const text of ['first', 'second', 'third']) await passing.ref('late').mail(Note, text)
    await passing.close()
    await office.close()
    const entries = await entriesOf(await authority.bucket(addresses().mail), 'place.*')
    const found = entries.map(({ value = [] }) => Buffer.from(value).toString('latin1'))
    assert.equal(found.length, 3)
    assert.ok(!found.some((value) => /first|second|third|late|test\.note/.test(value)))
    const store = { bucket: await authority.bucket(addresses().mail), secret: mesh.authority.tasksKey }
    const { waiting, unreadable } = await waitingMail(store, mesh.authority.root.publicKey)
    assert.deepEqual(
      waiting.map(({ actor, message, from, bytes }) => [actor, message, from, bytes]),
      ['first', 'second', 'third'].map((text) => ['late', Note.name, 'passing', text.length + 1]),
      'whoever has the key sees what waits, and not what it says',
    )
    assert.ok(waiting.every(({ until }) => until > Date.now()) && unreadable === 0)
    const member = await mesh.connect()
    await assert.rejects(async () => (await member.bucket(addresses().mail)).get('place.0'), code('BROKER_UNAVAILABLE'))
    await member.close()
    const came: Came[] = []
    await host.spawn(clerk(came), { as: 'late' })
    office = await openOffice()
    await eventually(() => assert.equal(came.length, 3))
    assert.deepEqual(
      came.map(({ text, from }) => [text, from]),
      ['first', 'second', 'third'].map((text) => [text, 'passing: gateway']),
    )
    assert.equal(new Set(came.map(({ id }) => id)).size, 3)
  })

  it('of some megabytes waits in sealed pieces, comes whole and in its turn, and leaves nothing behind', async () => {
    const large = 'canary '.repeat(400_000)
    for (const text of [large, 'next']) await sender.ref('library').mail(Note, text)
    const bucket = await authority.bucket(addresses().mail)
    const pieces = await entriesOf(bucket, 'body.*.*.*')
    assert.equal(pieces.length, 11)
    for (const { value = new Uint8Array() } of pieces)
      assert.ok(value.length < 300_000 && !Buffer.from(value).includes('canary'))
    await office.close()
    // As an office leaves it that ends before it has written where they belong.
    await bucket.put(`body.mail.${'0'.repeat(32)}.0`, pieces[0]?.value ?? assert.fail())
    office = await openOffice()
    assert.equal((await entriesOf(bucket, 'body.*.*.*')).length, pieces.length)
    const came: Came[] = []
    await host.spawn(clerk(came), { as: 'library' })
    await eventually(() => assert.ok(came.length === 2 && came[0]?.text === large && came[1]?.text === 'next'))
    await eventually(async () => assert.deepEqual(await entriesOf(bucket, 'body.*.*.*'), []))
  })

  it('of which a piece was changed, exchanged or removed is a dead letter that nobody has begun, and what follows comes', async () => {
    const came: Came[] = []
    const bucket = await authority.bucket(addresses().mail)
    for (const damage of ['changed', 'exchanged', 'removed']) {
      await sender.ref(damage).mail(Note, damage.repeat(100_000))
      await sender.ref(damage).mail(Note, damage)
      const [one, two] = await entriesOf(bucket, 'body.*.*.*')
      assert.ok(one?.value && two?.value)
      if (damage === 'removed') await bucket.delete(one.key)
      else await bucket.put(one.key, damage === 'exchanged' ? two.value : one.value.with(99, 1 ^ (one.value[99] ?? 0)))
      await host.spawn(clerk(came), { as: damage })
      await eventually(() => assert.equal(came.at(-1)?.text, damage))
      const { kept } = await dead.list()
      const letter = kept.map((each) => each.letter).find(({ actor: to }) => to === damage)
      assert.deepEqual(
        [letter?.code, letter?.begun, letter?.bytes],
        ['UNAUTHENTIC', false, damage.length * 100_000 + 5],
      )
    }
    assert.equal(came.length, 3)
  })

  it('is one message under one key, however often it is sent, also to the next office; another under the same is refused', async () => {
    const came: Came[] = []
    await host.spawn(clerk(came), { as: 'keyed' })
    const ref = sender.ref('keyed')
    await Promise.all([ref.mail(Note, 'one', { key: 'a' }), ref.mail(Note, 'one', { key: 'a' })])
    // That the first was taken is on disk before the next one comes.
    await ref.mail(Note, 'two', { key: 'b' })
    await eventually(() => assert.equal(came.at(-1)?.text, 'two'))
    await office.close()
    office = await openOffice()
    await ref.mail(Note, 'one', { key: 'a' })
    await assert.rejects(ref.mail(Note, 'three', { key: 'a' }), code('MESSAGE_INVALID'))
    await ref.mail(Note, 'four', { key: 'c' })
    await eventually(() => assert.equal(came.at(-1)?.text, 'four'))
    assert.equal(came.filter(({ text }) => text === 'one').length, 1)
  })

  it('comes again, under the same id, after a crash and after a failure that passes; what is refused or crashes for ever is a dead letter', async () => {
    const came: Came[] = []
    const raise = () => host.spawn(clerk(came), { as: 'moody' })
    await raise()
    const guard = setInterval(() => void raise().catch(() => undefined), 20)
    for (const text of ['crash once', 'busy once', 'refuse', 'crash', 'last'])
      await sender.ref('moody').mail(Note, text, { trace: 'task-1' })
    await eventually(() => assert.equal(came.at(-1)?.text, 'last'))
    clearInterval(guard)
    const times = (text: string) => came.filter((one) => one.text === text)
    assert.deepEqual(
      ['crash once', 'busy once', 'refuse', 'crash', 'last'].map((text) => times(text).length),
      [2, 2, 1, 4, 1],
    )
    assert.equal(times('crash once')[0]?.id, times('crash once')[1]?.id)
    const refused = await letterSaying('refuse')
    assert.deepEqual(
      [refused.code, refused.begun, refused.sender.name, refused.writer.name, refused.trace],
      ['USAGE', true, 'sender', 'office', 'task-1'],
    )
    assert.equal((await letterSaying('crash')).code, 'ACTOR_CRASHED')
  })

  it('has the rights of its sender, not of who delivers it, and of a sender that was revoked none', async () => {
    const came: Came[] = []
    await host.spawn(clerk(came), { as: 'guarded' })
    await sender.ref('guarded').mail(Order, 'as if')
    assert.deepEqual([(await letterSaying('as if')).code, (await letterSaying('as if')).begun], ['DENIED', false])
    await sender.ref('guarded').mail(Vouch, 'for nobody')
    assert.equal((await letterSaying('for nobody')).code, 'DENIED')
    const leaver = await mesh.join('leaver', { roles: ['worker'] })
    await leaver.ref('guest').mail(Note, 'from a leaver')
    const { holder } = leaver.self.certificate
    const directory = await authority.bucket(addresses().directory)
    await directory.put(addresses().revokedKey, writeRevocations(mesh.authority.mesh, [holder], mesh.authority.root))
    await eventually(() => assert.ok(host.directory.isRevoked(holder)))
    await host.spawn(clerk(came), { as: 'guest' })
    assert.equal((await letterSaying('from a leaver')).code, 'DENIED')
    assert.deepEqual(came, [])
  })

  it('of one sender does not wait for that of another', async () => {
    const came: Came[] = []
    await host.spawn(clerk(came), { as: 'shared' })
    const other = await mesh.join('other', { roles: ['worker'] })
    await sender.ref('shared').mail(Stuck, 'never done')
    await other.ref('shared').mail(Note, 'done')
    await eventually(() =>
      assert.deepEqual(
        came.map(({ text }) => text),
        ['done'],
      ),
    )
  })

  it('is delivered by a node of the authority alone', async () => {
    await host.spawn(clerk([]), { as: 'wary' })
    const forged = {
      from: office.self.certificate.wire,
      actor: 'wary',
      message: Order.name,
      trace: '',
      content: 'forged',
      body: undefined,
      deadline: Date.now() + 10_000,
      to: 'members' as const,
      about: undefined,
      id: '0'.repeat(32),
      what: '0'.repeat(32),
    }
    await assert.rejects(
      sender.deliver(forged, async () => forged.content, {}),
      code('DENIED'),
    )
  })

  it('is a dead letter when its time is over, and says whether anybody had begun', async () => {
    await sender.ref('never').mail(Note, 'too late', { keepMs: 50 })
    const late = await letterSaying('too late')
    assert.deepEqual([late.code, late.begun, late.actor], ['DEADLINE', false, 'never'])
  })
})

it('mail is bounded for each actor, by size too, and a full one says so', async () => {
  const mesh = await localMesh()
  const ref = mesh.ref('nobody')
  await Promise.all(Array.from({ length: mailLimits.perActor }, (_, n) => ref.mail(Note, String(n))))
  await assert.rejects(ref.mail(Note, 'one more'), code('MAILBOX_FULL'))
  await assert.rejects(mesh.ref('other').mail(Note, 'x'.repeat(mailAllowance.most)), code('MESSAGE_INVALID'))
  await mesh.ref('other').mail(Note, 'x'.repeat(mailAllowance.most - 1024))
  await assert.rejects(mesh.ref('third').mail(Note, 'x'.repeat(mailAllowance.most - 1024)), code('MAILBOX_FULL'))
  await mesh.ref('other').mail(Note, 'fine')
  await mesh.close()
})

it('mail of which a piece is lost on its way to the office is sent again', async () => {
  const mesh = await memoryMesh()
  const office = await mesh.join('office', { roles: ['authority'] })
  const { mail } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
  const bucket = await (await mesh.connect()).bucket(mail)
  await serveMail(office, { bucket, secret: mesh.authority.tasksKey })
  const carrier = await mesh.connect()
  let lost = 0
  const publish: Transport['publish'] = (subject, bytes) => {
    if (bytes.length > pieceBytes && lost === 0) lost += 1
    else carrier.publish(subject, bytes)
  }
  const sender = await mesh.join('sender', { transport: { ...carrier, publish } })
  await sender.ref('nobody').mail(Note, 'what begins a session')
  await sender.ref('nobody').mail(Note, 'x'.repeat(600_000))
  assert.equal(lost, 1)
  assert.equal((await entriesOf(bucket, 'body.*.*.*')).length, 3)
  await mesh.close()
})

it('mail in pieces is not acknowledged by an office that another one has followed meanwhile', async () => {
  const authority = createAuthority()
  const broker = new MemoryBroker()
  const node = await localMesh({ with: { authority, broker } })
  const bucket = await broker.connect().bucket(addressesOf(authority.mesh, authority.meshKey).mail)
  let follow = async () => undefined as unknown
  const held: Bucket = {
    ...{ put: (key, value) => bucket.put(key, value), get: (key) => bucket.get(key) },
    ...{ delete: (key) => bucket.delete(key), purge: (keys) => bucket.purge(keys) },
    watch: (changed, keys) => bucket.watch(changed, keys),
    swap: async (key, value, revision) => {
      await follow()
      return bucket.swap(key, value, revision)
    },
  }
  const secret = authority.tasksKey
  await serveMail(node, { bucket: held, secret })
  follow = async () => {
    assert.notDeepEqual(await entriesOf(bucket, 'body.*.*.*'), [])
    // It removes the pieces that no record names yet.
    await new Places(bucket, mailKey(secret)).takeOver()
    assert.deepEqual(await entriesOf(bucket, 'body.*.*.*'), [])
  }
  await assert.rejects(node.ref('nobody').mail(Note, 'x'.repeat(300_000)), code('FENCED'))
  await node.close()
})

/** All of a bucket but how its entries are put and read. */
const withoutKeeping = (bucket: Bucket): Omit<Bucket, 'put' | 'get'> => ({
  swap: (key, value, revision) => bucket.swap(key, value, revision),
  delete: (key) => bucket.delete(key),
  watch: (changed, keys) => bucket.watch(changed, keys),
  purge: (keys) => bucket.purge(keys),
})

it('mail in pieces that cannot be kept leaves none, and where it cannot be seen whether another office has followed, that is waited for', async (test) => {
  const authority = createAuthority()
  const broker = new MemoryBroker()
  const node = await localMesh({ with: { authority, broker } })
  test.after(() => node.close())
  const bucket = await broker.connect().bucket(addressesOf(authority.mesh, authority.meshKey).mail)
  let [failing, unseen, pieces] = [true, 0, 0]
  const held: Bucket = {
    ...withoutKeeping(bucket),
    put: async (key, value) => {
      if (failing && key.endsWith('.1')) throw new ClawmeshError('DISK_FULL', 'No more.')
      // The others are on their way when one has failed.
      if (failing && key.startsWith('body.')) await setImmediate()
      if (key.startsWith('body.')) pieces += 1
      return bucket.put(key, value)
    },
    get: async (key) => {
      if (key === 'office' && unseen++ === 0) throw new ClawmeshError('BROKER_UNAVAILABLE', 'Not now.')
      return bucket.get(key)
    },
  }
  await serveMail(node, { bucket: held, secret: authority.tasksKey })
  const text = 'x'.repeat(4_000_000)
  await assert.rejects(node.ref('absent').mail(Note, text, { key: 'one' }), code('DISK_FULL'))
  await setImmediate()
  assert.equal((await entriesOf(bucket, 'body.*.*.*')).length, 0)
  failing = false
  pieces = 0
  await node.ref('absent').mail(Note, text, { key: 'one' })
  assert.deepEqual([unseen, pieces], [2, 16], 'it was kept once')
  const came: Came[] = []
  await node.spawn(clerk(came), { as: 'absent' })
  await eventually(() => assert.equal(came.length, 1))
})

it('mail that comes behind some megabytes stands behind them on the disk too', async (test) => {
  const authority = createAuthority()
  const broker = new MemoryBroker()
  const node = await localMesh({ with: { authority, broker } })
  test.after(() => node.close())
  const bucket = await broker.connect().bucket(addressesOf(authority.mesh, authority.meshKey).mail)
  const slow: Bucket = {
    ...withoutKeeping(bucket),
    get: (key) => bucket.get(key),
    put: async (key, value) => {
      for (let turn = 0; key.startsWith('body.') && turn < 20; turn++) await setImmediate()
      return bucket.put(key, value)
    },
  }
  const store = { bucket: slow, secret: authority.tasksKey }
  await serveMail(node, store)
  const texts = ['first', 'second '.repeat(100_000), 'third', 'fourth']
  await Promise.all(texts.map((text) => node.ref('absent').mail(Note, text)))
  const { waiting } = await waitingMail(store, authority.root.publicKey)
  assert.deepEqual(
    waiting.map(({ bytes }) => bytes),
    [6, 700_005, 6, 7],
  )
})

it('mail of a task that is to be forgotten is gone, wherever it stands in its box, with its pieces, and the rest is not', async () => {
  const authority = createAuthority()
  const broker = new MemoryBroker()
  const mesh = await localMesh({ with: { authority, broker } })
  const bucket = await broker.connect().bucket(addressesOf(authority.mesh, authority.meshKey).mail)
  await serveMail(mesh, { bucket, secret: authority.tasksKey })
  for (const task of ['one', 'two', 'three', 'four']) {
    const text = task === 'one' || task === 'three' ? task.repeat(100_000) : task
    await mesh.ref('absent').mail(Note, text, { trace: task })
  }
  assert.equal((await entriesOf(bucket, 'body.*.*.*')).length, 4)
  assert.equal(await mesh.ref(officeName).ask(ForgetMail, { tasks: ['one', 'three'] }), 2)
  assert.deepEqual(await entriesOf(bucket, 'body.*.*.*'), [])
  const came: Came[] = []
  await mesh.spawn(clerk(came), { as: 'absent' })
  await eventually(() =>
    assert.deepEqual(
      came.map(({ text }) => text),
      ['two', 'four'],
    ),
  )
  await mesh.close()
})
