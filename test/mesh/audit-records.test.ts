/** Records that hold several events: what becomes of them in a crash, in an attack on the stream, and on a disk that fails. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { addressesOf } from '../../mesh/address.js'
import { type Chain, openChain, readChain } from '../../mesh/audit/chain.js'
import { packEvent } from '../../mesh/audit/event.js'
import { Opener } from '../../mesh/audit/opener.js'
import { type Fault, TrailReader, type TrailRecord } from '../../mesh/audit/reader.js'
import { encodeHead, readRecord, writeRecord } from '../../mesh/audit/record.js'
import { Sealer } from '../../mesh/audit/sealer.js'
import { verifyTrail } from '../../mesh/audit/verify.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { encode } from '../../mesh/codec.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { Stored } from '../../mesh/transport/transport.js'
import { temporaryFolder } from '../kit/mesh.js'
import { eventOf } from './trail.js'

const folder = temporaryFolder()
after(() => rmSync(folder, { recursive: true, force: true }))

const authority = createAuthority()
const credentials = enrol(authority, { name: 'one', roles: ['worker'] }, Date.now())
const addresses = addressesOf(authority.mesh, authority.meshKey)
let files = 0

/** A writer whose stream is away, so that its chain file is all there is. */
function writerOn(chain: Chain, now = Date.now, who = credentials): AuditWriter {
  const log = { ...new MemoryBroker().connect().log('away'), append: () => Promise.reject(new Error('away')) }
  return new AuditWriter({ credentials: who, addresses, log, chain, now })
}

/** Writes groups of so many events each; resolves to the path of the chain file. */
async function write(groups: number[], now = Date.now): Promise<string> {
  const path = join(folder, `${files++}.chain`)
  const writer = writerOn(openChain(path), now)
  let n = 0
  for (const count of groups) await Promise.all(Array.from({ length: count }, () => writer.record(eventOf(n++))))
  await writer.close()
  return path
}

/** What the auditor makes of records that stand on the stream in these batches. */
function audit(...batches: Uint8Array[][]): { numbers: unknown[]; faults: Fault[] } {
  const faults: Fault[] = []
  const stored = batches.map((batch, index): Stored => ({ sequence: index + 1, subject: '', bytes: encode(batch) }))
  const records = new TrailReader(authority.root.publicKey, faults).take(stored)
  return { numbers: faults.length === 0 ? numbersIn(records) : [], faults }
}

function numbersIn(records: TrailRecord[]): unknown[] {
  const opener = new Opener(authority.auditor)
  return records.flatMap((record) => opener.open(record)).map(({ facts }) => facts['n'])
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const inWords = (faults: Fault[]) => faults.map(({ place, what }) => `${place}: ${what}`).join('\n')

describe('an audit record', () => {
  it('holds all events that come together, under one signature and one key', async () => {
    const records = readChain(await write([1, 300, 2])).records
    assert.deepEqual(
      records.map((record) => readRecord(record).count),
      [1, 300, 2],
    )
    const { numbers, faults } = audit(records)
    assert.deepEqual([numbers, faults], [upTo(303), []])
  })

  it('stands on the disk with its signature, however many wait for it', async () => {
    const path = await write([40, 3])
    const chains = new Map([[credentials.certificate.holder, readChain(path)]])
    const { ok, unsent } = verifyTrail({ stored: [], checkpoints: [], chains }, authority.root.publicKey)
    assert.equal(ok, true)
    assert.deepEqual(numbersIn(unsent.flatMap(({ records }) => records as TrailRecord[])), upTo(43))
  })

  it('that a crash cut short anywhere was never said to be written; the next run goes on before it', async () => {
    const path = await write([2, 3])
    const bytes = readFileSync(path)
    const first = 4 + bytes.readUInt32BE(0)
    for (let length = first; length < bytes.length; length += 13) {
      const cut = join(folder, `cut-${length}.chain`)
      writeFileSync(cut, bytes.subarray(0, length))
      const writer = writerOn(openChain(cut))
      await Promise.all([writer.record(eventOf(2)), writer.record(eventOf(3))])
      await writer.close()
      assert.deepEqual(audit(readChain(cut).records), { numbers: upTo(4), faults: [] })
    }
  })

  it('that the disk did not take leaves no gap, and its key is not used again', async () => {
    const path = join(folder, 'full.chain')
    const chain = openChain(path)
    let isFull = false
    const kept: Uint8Array[] = []
    const append = (record: Uint8Array) => {
      kept.push(record)
      if (isFull) throw new Error('no space left on device')
      chain.append(record)
    }
    const writer = writerOn({ ...chain, append })
    await writer.record(eventOf(0))
    isFull = true
    await assert.rejects(Promise.all([writer.record(eventOf(8)), writer.record(eventOf(9))]), /no space left/)
    isFull = false
    await writer.record(eventOf(1))
    await writer.close()
    assert.deepEqual(audit(readChain(path).records), { numbers: upTo(2), faults: [] })
    const [, refused, next] = kept.map(readRecord)
    assert.equal(refused?.number, next?.number)
    assert.ok(next?.opening && !refused?.opening, 'the next record begins an epoch of keys')
  })

  it('is named when it is dropped, swapped, or given the signature of another', async () => {
    const records = readChain(await write([2, 3, 1, 2])).records
    const [a, b, c, d] = records as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
    assert.match(inWords(audit([a, c, d]).faults), /record 2 of node one .*: 1 record before it \(from 1\) is missing/)
    assert.match(inWords(audit([a], [c], [b], [d]).faults), /record 2 of node one .* is missing/)
    assert.match(inWords(audit([b, c, d]).faults), /does not begin with its certificate/)
    const moved = Buffer.concat([c.subarray(0, 64), b.subarray(64)])
    const { faults } = audit([a, moved, c, d])
    assert.equal(faults[0]?.place, 'record 1 of node one (stream message 1)')
    assert.equal(faults[0]?.what, 'its signature is not that of its producer')
  })

  it('is named for every byte of it that is flipped, alone and among others', async () => {
    const records = readChain(await write([1, 4, 1])).records
    for (const [index, record] of records.entries()) {
      for (let at = 0; at < record.length; at += 5) {
        const flipped = record.slice()
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
        const [first] = audit(records.with(index, flipped)).faults
        assert.ok(first, `byte ${at} of record ${index} was flipped and nothing was noticed`)
        // Where the head is not readable any more, nobody knows which record it was: the message is named.
        assert.match(first.place, /^(record \d+ of node one \()?stream message 1\)?$/)
        if (at < 64 || at >= 68 + readRecord(record).head.length)
          assert.equal(first.place, `record ${index} of node one (stream message 1)`, `byte ${at}`)
      }
    }
  })

  it('that opened an earlier epoch changes nothing when it is sent again', async () => {
    let time = 1_000_000
    const path = join(folder, 'epochs.chain')
    const writer = writerOn(openChain(path), () => time)
    for (let n = 0; n < 6; n += 1) {
      await writer.record(eventOf(n))
      time += 50_000
    }
    await writer.close()
    const records = readChain(path).records
    const openings = records.filter((record) => readRecord(record).opening)
    assert.deepEqual(
      openings.map((record) => readRecord(record).number),
      [0, 3],
      'two minutes make an epoch',
    )
    const [oldest] = openings as [Uint8Array]
    assert.deepEqual(audit(records.slice(0, 5), [oldest], records.slice(5)), { numbers: upTo(6), faults: [] })
  })

  it('cannot carry the key of another: it is under the signature', async () => {
    const { records } = readChain(await write([1, 1]))
    const [first, another] = [records[0], readChain(await write([1])).records[0]] as [Uint8Array, Uint8Array]
    const genuine = readRecord(first)
    const head = encodeHead({ ...genuine, opening: readRecord(another).opening })
    const forged = writeRecord(head, genuine.sealed, credentials.signing)
    forged.set(first.subarray(0, 64))
    assert.match(inWords(audit([forged, ...records.slice(1)]).faults), /record 0 .*: its signature is not that/)
  })

  it('of another node, or damaged, is not gone on from', async () => {
    const path = await write([1, 2])
    const another = enrol(authority, { name: 'two', roles: ['worker'] }, Date.now())
    const begin = (who = credentials) => writerOn(openChain(path), Date.now, who)
    assert.throws(() => begin(another), /does not end with record 1 of its own/)
    const bytes = readFileSync(path)
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    writeFileSync(path, bytes)
    assert.throws(() => begin(), /audit chain of node "one" does not end with record 1 of its own/)
  })

  it('opens in its own place only, even if its producer signs another', async () => {
    const [bytes] = readChain(await write([2])).records
    const record = readRecord(bytes as Uint8Array)
    for (const lie of [{ count: 1 }, { time: record.time + 1 }, { previous: new Uint8Array(32).fill(1) }]) {
      const lied = writeRecord(encodeHead({ ...record, ...lie }), record.sealed, credentials.signing)
      const reader = new TrailReader(authority.root.publicKey, [])
      const [taken] = reader.follow([lied], 'a test')
      assert.ok(taken)
      assert.throws(() => new Opener(authority.auditor).open(taken), /events of record 0 of node one cannot be opened/)
    }
  })

  it('opens in any order, from the key of its epoch on', async () => {
    const records: Uint8Array[] = []
    const sealer = new Sealer(credentials, 0, undefined)
    for (let n = 0; n < 1030; n += 1) sealer.seal([packEvent(n, eventOf(n))], n, (record) => records.push(record))
    assert.equal(records.filter((record) => readRecord(record).opening).length, 2, '1,024 records make an epoch')
    const taken = new TrailReader(authority.root.publicKey, []).follow(records, 'a test')
    const opener = new Opener(authority.auditor)
    for (const number of [1029, 3, 1023, 1024, 0])
      assert.equal(opener.open(taken[number] as TrailRecord)[0]?.facts['n'], number)
  })
})
