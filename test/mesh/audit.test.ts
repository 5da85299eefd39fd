import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../mesh/address.js'
import { openChain, readChain } from '../../mesh/audit/chain.js'
import { readCheckpoints } from '../../mesh/audit/checkpoint.js'
import { merkleRoot } from '../../mesh/audit/merkle.js'
import { Opener } from '../../mesh/audit/opener.js'
import { type Trail, verifyTrail } from '../../mesh/audit/verify.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { decode, encode } from '../../mesh/codec.js'
import { type Authority, createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { digest, hex } from '../../mesh/seal/keys.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { Stored, Transport } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { auditEvents } from '../kit/events.js'
import { eventually } from '../kit/eventually.js'
import { natsMesh, temporaryFolder } from '../kit/mesh.js'
import { all, eventOf, makeTrail } from './trail.js'

describe('the audit trail', () => {
  let folder: string
  let authority: Authority
  let trail: Trail

  before(async () => {
    folder = temporaryFolder()
    const made = await makeTrail(folder)
    authority = made.authority
    trail = made.trail
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const verify = (changed: Partial<Trail>) => verifyTrail({ ...trail, ...changed }, authority.root.publicKey)

  it('verifies as it was written', () => {
    const { ok, records, events, producers, checkpointed, faults } = verify({})
    assert.deepEqual(
      { ok, records: records.length, events, producers, checkpointed, faults },
      { ok: true, records: 8, events: 16, producers: 2, checkpointed: 4, faults: [] },
    )
  })

  it('is read by the auditor and by nobody else', () => {
    const [first] = verify({}).records
    assert.ok(first)
    const [event] = new Opener(authority.auditor).open(first)
    assert.deepEqual(event, { ...eventOf(0), time: event?.time })
    assert.throws(() => new Opener(createAuthority().auditor).open(first), ClawmeshError)
  })

  it('fails for every single byte that is flipped, and names the place', () => {
    let tried = 0
    for (const [index, message] of trail.stored.entries()) {
      for (let at = 0; at < message.bytes.length; at += 1) {
        const bytes = message.bytes.slice()
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
        const stored = trail.stored.with(index, { ...message, bytes })
        const { ok, faults } = verify({ stored })
        tried += 1
        assert.equal(ok, false, `byte ${at} of message ${message.sequence} was flipped and nothing was noticed`)
        assert.ok(faults.some(({ place }) => /record|stream message/.test(place)))
      }
    }
    assert.ok(tried > 1500, `${tried} bytes`)
  })

  it('fails for every message that is left out, doubled with another, swapped, or cut off, and names the place', () => {
    const { stored } = trail
    const without = (index: number) => stored.filter((_, other) => other !== index)
    const swapped = (index: number) =>
      stored.with(index, stored[index + 1] as Stored).with(index + 1, stored[index] as Stored)
    for (let index = 0; index < stored.length; index += 1) {
      const { ok, faults } = verify({ stored: without(index) })
      assert.equal(ok, false, `message ${index + 1} was left out`)
      assert.ok(faults.length > 0 && faults.every(({ place, what }) => place !== '' && what !== ''))
    }
    for (let count = 0; count < stored.length; count += 1)
      assert.equal(verify({ stored: stored.slice(0, count) }).ok, false, `cut to ${count}`)
    for (let count = 1; count < stored.length; count += 1)
      assert.equal(verify({ stored: stored.slice(count) }).ok, false, `cut off the first ${count}`)
    for (let index = 0; index < 3; index += 1)
      assert.equal(verify({ stored: swapped(index) }).ok, false, `swapped ${index}`)
  })

  it('sees a cut tail without any chain file, from the checkpoint alone', () => {
    const { faults } = verify({ stored: trail.stored.slice(0, 1), chains: new Map() })
    assert.match(
      faults.map(({ place, what }) => `${place}: ${what}`).join(),
      /stream records 0 to 3: only \d+ records are left; the authority saw 4/,
    )
  })

  it('sees two producers’ records swapped under a checkpoint, where each chain by itself is whole', () => {
    const batches = trail.stored.map(({ bytes }) => decode(bytes) as Uint8Array[])
    const flat = batches.flat()
    const producers = verify({}).records.map(({ producer }) => producer)
    const at = producers.findIndex((producer, index) => index > 0 && producer !== producers[index - 1])
    const records = flat.with(at - 1, flat[at] as Uint8Array).with(at, flat[at - 1] as Uint8Array)
    const stored = [{ sequence: 1, subject: '', bytes: encode(records) }]
    const { faults } = verify({ stored })
    assert.match(faults[0]?.place ?? '', /stream records 0 to 3/)
    assert.match(faults[0]?.what ?? '', /not what the authority saw there, or not in that order/)
  })

  it('takes a faithful repetition, which a crash can cause, for what it is', () => {
    const repeated = [...trail.stored, { ...(trail.stored[0] as Stored), sequence: 99 }]
    assert.deepEqual(verify({ stored: repeated }).faults, [])
  })

  it('refuses a chain of a node that another authority certified', () => {
    const { faults } = verifyTrail({ ...trail, checkpoints: [] }, createAuthority().root.publicKey)
    assert.match(faults[0]?.what ?? '', /authority did not sign/)
  })

  it('refuses a checkpoint file that was edited', () => {
    const file = join(folder, 'checkpoints.jsonl')
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replace('"count":4', '"count":2'))
    assert.throws(
      () => readCheckpoints(file, authority.root.publicKey),
      /Checkpoint 1 .* is not what the authority wrote/,
    )
    writeFileSync(file, text)
  })

  it('has the Merkle roots of RFC 6962', () => {
    assert.equal(hex(merkleRoot([])), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    assert.equal(
      hex(merkleRoot([new Uint8Array()])),
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    )
  })
})

describe('an audit chain file', () => {
  it('loses a frame that a crash cut short, and nothing before it', () => {
    const folder = temporaryFolder()
    const path = join(folder, 'audit.chain')
    const chain = openChain(path)
    for (const text of ['one', 'two']) chain.append(encode(text))
    chain.close()
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from([0, 0, 0, 9, 1, 2])]))
    assert.equal(readChain(path).records.length, 2)
    const again = openChain(path)
    again.append(encode('three'))
    again.close()
    assert.deepEqual(
      readChain(path).records.map((bytes) => decode(bytes)),
      ['one', 'two', 'three'],
    )
    rmSync(folder, { recursive: true, force: true })
  })
})

describe('the audit writer', () => {
  /** A log that is away until it is let in. */
  function gate(transport: Transport, stream: string) {
    let open = false
    const log = transport.log(stream)
    return {
      open: () => {
        open = true
      },
      log: {
        append: async (subject: string, id: string, bytes: Uint8Array) => {
          if (!open) throw new ClawmeshError('BROKER_UNAVAILABLE', 'away')
          await log.append(subject, id, bytes)
        },
        read: () => log.read(),
        follow: (from: number, signal: AbortSignal) => log.follow(from, signal),
        last: () => log.last(),
      },
    }
  }

  it('spools while the stream is away and loses nothing, also over a restart', async () => {
    const folder = temporaryFolder()
    const authority = createAuthority()
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const credentials = enrol(authority, { name: 'one', roles: ['worker'] }, Date.now())
    const { open, log } = gate(new MemoryBroker().connect(), addresses.auditStream)
    const path = join(folder, 'audit.chain')
    const options = { credentials, addresses, log, now: Date.now }
    const first = new AuditWriter({ ...options, chain: openChain(path) })
    for (let n = 0; n < 5; n += 1) await first.record(eventOf(n))
    assert.equal(first.lag, 5)
    first.close()
    const second = new AuditWriter({ ...options, chain: openChain(path) })
    await second.record(eventOf(5))
    open()
    await eventually(() => assert.equal(second.lag, 0))
    second.close()
    const chains = new Map([[credentials.certificate.holder, readChain(path)]])
    const { ok, records, faults } = verifyTrail(
      { stored: await all(log), checkpoints: [], chains },
      authority.root.publicKey,
    )
    assert.deepEqual([ok, records.length, faults], [true, 6, []])
    rmSync(folder, { recursive: true, force: true })
  })
})

describe('the audit stream on NATS', () => {
  it('is not stopped by what is larger than it takes: what happened is cut, what was intended is refused', async () => {
    const mesh = await natsMesh()
    const node = await mesh.join('writer')
    const { subjects } = mesh.authority
    node.file('of ada', subjects.keyOf('ada'))
    const huge = { words: 'x'.repeat(2_000_000), many: new Array(300_000).fill(0.1), n: 1 }
    await node.note('thought.asked', huge, 'of ada')
    await node.note('thought.asked', huge, 'x'.repeat(2_000_000))
    await assert.rejects(node.audit.intend({ ...eventOf(1), facts: huge }), { code: 'MESSAGE_INVALID' })
    await node.audit.intend(eventOf(2))
    const operator = await mesh.connectAsAuditor()
    const events = await auditEvents(mesh, operator)
    const cut = events.filter(({ facts }) => 'cut' in facts)
    assert.deepEqual(
      cut.map(({ facts: { n, words, cut } }) => [n, words, Object(cut).bytes > 2_000_000]),
      [
        [1, undefined, true],
        [1, undefined, true],
      ],
    )
    assert.equal(Object(cut[0]?.facts['cut']).sha256, hex(digest(encode(huge))))
    const { kind, facts } = eventOf(2)
    assert.deepEqual([events.at(-1)?.kind, events.at(-1)?.facts], [kind, facts])
    assert.equal(events.filter((event) => event.kind === kind).length, 3, 'what was refused is not there')
    await operator.close()
    await mesh.close()
  })

  it('cannot be read, edited, purged or removed by a member', async () => {
    const mesh = await natsMesh()
    const node = await mesh.join('writer')
    await node.audit.intend(eventOf(1))
    const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const member = await mesh.connect()
    await assert.rejects(all(member.log(auditStream)))
    await member.close()
    const operator = await mesh.connectAsAuditor()
    const stored = await all(operator.log(auditStream))
    assert.equal(verifyTrail({ stored, checkpoints: [], chains: new Map() }, mesh.authority.root.publicKey).ok, true)
    await operator.close()
    await mesh.close()
  })

  it('fails verification when a byte of the broker’s own store is flipped', async () => {
    const folder = temporaryFolder()
    const mesh = await natsMesh()
    const path = join(folder, 'audit.chain')
    const chain = openChain(path)
    const node = await mesh.join('writer', { chain })
    for (let n = 0; n < 20; n += 1) await node.audit.intend(eventOf(n))
    const holder = node.self.certificate.holder
    await node.close()
    const store = join(mesh.folder, 'store')
    const block = readdirSync(store, { recursive: true, encoding: 'utf8' }).find((name) => /audit.*\.blk$/.test(name))
    assert.ok(block)
    const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const operator = await mesh.connectAsAuditor()
    const file = join(store, block)
    const bytes = readFileSync(file)
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(file, bytes)
    process.kill(mesh.broker.pid, 'SIGKILL')
    const chains = new Map([[holder, readChain(path)]])
    await eventually(async () => {
      const stored = await all(operator.log(auditStream))
      const { ok, faults } = verifyTrail({ stored, checkpoints: [], chains }, mesh.authority.root.publicKey)
      assert.equal(ok, false)
      assert.ok(faults.length > 0)
    })
    await operator.close()
    await mesh.close()
    rmSync(folder, { recursive: true, force: true })
  })
})
