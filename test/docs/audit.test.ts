import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { addressesOf } from '../../mesh/address.js'
import { memoryChain, openChain } from '../../mesh/audit/chain.js'
import { readCheckpoints, writeCheckpoint } from '../../mesh/audit/checkpoint.js'
import { eventKinds } from '../../mesh/audit/event.js'
import { Filings } from '../../mesh/audit/filing.js'
import { Opener } from '../../mesh/audit/opener.js'
import { checkProof, prove } from '../../mesh/audit/proof.js'
import { verifyTrail } from '../../mesh/audit/verify.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { installation } from '../../mesh/installation.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import type { AgreementKey } from '../../mesh/seal/keys.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { Stored } from '../../mesh/transport/transport.js'
import { temporaryFolder } from '../kit/mesh.js'
import { factsByTheBook, openByTheBook, proveByTheBook, type Sources, verifyByTheBook } from './audit-reader.js'

/** Two nodes over two runs each, with a checkpoint after each run, read as a stranger would find it. */
async function writeTrail(folder: string): Promise<Sources & { auditor: AgreementKey }> {
  const authority = createAuthority()
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const log = new MemoryBroker().connect().log(addresses.auditStream)
  const nodes = ['one', 'two'].map((name) => enrol(authority, { name, roles: ['worker'] }, Date.now()))
  const chainOf = (name: string) => join(folder, name, 'audit.chain')
  const checkpoints = join(folder, 'checkpoints.jsonl')
  const newestCheckpoint = join(folder, 'newest-checkpoint.json')
  const stored: Stored[] = []
  for (const run of [1, 2]) {
    for (const credentials of nodes) {
      const chain = openChain(chainOf(credentials.certificate.name))
      const writer = new AuditWriter({ credentials, addresses, log, chain, now: Date.now })
      const record = (n: number) =>
        writer.record({ kind: 'thought.asked', trace: '', actor: 'worker', facts: { run, n } })
      await record(0)
      await record(1)
      // Two events in one record.
      await Promise.all([record(2), record(3)])
      assert.ok(await writer.flush(60_000))
      writer.close()
    }
    stored.length = 0
    for await (const message of log.read()) stored.push(message)
    const { records } = verifyTrail({ stored, checkpoints: [], chains: new Map() }, authority.root.publicKey)
    const hashes = records.map(({ hash }) => hash)
    writeCheckpoint({ checkpoints, newestCheckpoint }, hashes, authority.root, Date.now())
  }
  return {
    messages: stored.map(({ bytes }) => bytes),
    checkpoints: readFileSync(checkpoints, 'utf8'),
    chains: nodes.map(({ certificate }) => readFileSync(chainOf(certificate.name))),
    rootKey: authority.root.publicKey,
    auditor: authority.auditor,
  }
}

describe('docs/audit.md', () => {
  const folder = temporaryFolder()
  let sources: Sources & { auditor: AgreementKey }
  before(async () => {
    sources = await writeTrail(folder)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const fails = (changed: Partial<Sources>) => assert.throws(() => verifyByTheBook({ ...sources, ...changed }))

  it('is enough to verify a trail of two nodes, two runs and two checkpoints', () => {
    assert.equal(verifyByTheBook(sources), 12)
  })

  it('is enough to open the events of it with the auditors’ key', () => {
    const found = openByTheBook(sources.messages, sources.auditor).map(([, kind, , , facts]) => [kind, facts])
    const runs = [1, 1, 2, 2].flatMap((run) => [0, 1, 2, 3].map((n) => ['thought.asked', ['run', run, 'n', n]]))
    assert.deepEqual(found, runs)
  })

  it('is enough to open what is about a person with that person’s key, and not without', async () => {
    const authority = createAuthority()
    const credentials = enrol(authority, { name: 'one', roles: ['worker'] }, Date.now())
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const log = new MemoryBroker().connect().log(addresses.auditStream)
    const filings = new Filings(credentials.rootKey)
    const [ada, eve] = ['ada', 'eve'].map((name) => authority.subjects.keyOf(name))
    filings.learn('of ada', ada?.wire ?? assert.fail())
    const writer = new AuditWriter({ credentials, addresses, log, chain: memoryChain(), now: Date.now, filings })
    for (const n of [1, 2])
      await writer.record({ kind: 'thought.asked', trace: 'of ada', actor: 'worker', facts: { n, words: 'PRIVATE' } })
    assert.ok(await writer.flush(60_000))
    await writer.close()
    const messages: Uint8Array[] = []
    for await (const { bytes } of log.read()) messages.push(bytes)
    const events = openByTheBook(messages, authority.auditor)
    assert.ok(!inspect(events, { depth: 9 }).includes('PRIVATE'))
    const keyOf = (id: string | undefined) => authority.subjects.secretOf(id ?? '') as AgreementKey
    const facts = events.map((event) => factsByTheBook(event, keyOf(ada?.id)))
    assert.deepEqual(
      facts,
      [1, 2].map((n) => ['n', n, 'words', 'PRIVATE']),
    )
    for (const event of events) assert.throws(() => factsByTheBook(event, keyOf(eve?.id)))
  })

  it('is enough to take a repetition for what it is', () => {
    const [first = new Uint8Array()] = sources.messages
    assert.equal(verifyByTheBook({ ...sources, messages: [...sources.messages, first] }), 12)
  })

  it('is enough to see a changed byte, a message left out, a shorter chain file, another root and an edited checkpoint', () => {
    for (const [index, message] of sources.messages.entries()) {
      fails({ messages: sources.messages.filter((_, other) => other !== index) })
      for (let at = 0; at < message.length; at += 7) {
        const bytes = message.slice()
        bytes[at] = (bytes[at] ?? 0) ^ 1
        fails({ messages: sources.messages.with(index, bytes) })
      }
    }
    const [chain = new Uint8Array()] = sources.chains
    const first = Buffer.from(chain).readUInt32BE(0) + 4
    fails({ chains: [chain.subarray(0, first)] })
    fails({ rootKey: createAuthority().root.publicKey })
    fails({ checkpoints: sources.checkpoints.replace('"count":6', '"count":5') })
  })

  it('is enough to check a proof of each record, and to read those that may be read', () => {
    const { rootKey, auditor } = sources
    const stored = sources.messages.map((bytes, index) => ({ sequence: index + 1, subject: '', bytes }))
    const { records } = verifyTrail({ stored, checkpoints: [], chains: new Map() }, rootKey)
    const checkpoints = readCheckpoints(join(folder, 'checkpoints.jsonl'), rootKey)
    const opener = new Opener(auditor)
    for (const [place, record] of records.entries()) {
      const key = place % 2 === 0 ? opener.keyOf(record) : undefined
      const proof = prove(record, records, checkpoints, key) ?? assert.fail('no checkpoint')
      const byTheBook = proveByTheBook(proof, rootKey)
      const { hash, events } = checkProof(proof, rootKey)
      assert.equal(byTheBook.hash, hash)
      assert.equal(byTheBook.events.length, key ? record.count : 0)
      assert.equal(events?.length ?? 0, byTheBook.events.length)
      const other = records[(place + 1) % records.length] ?? record
      const changes = [
        { index: proof.index + 1 },
        { path: proof.path.slice(1) },
        { path: [...proof.path, hash] },
        { path: proof.path.with(0, hash) },
        // More leaves than can be halved: no tree, however long the path.
        { size: Number.MAX_SAFE_INTEGER, path: new Array<string>(20_000).fill(hash) },
        { record: Buffer.from(other.bytes).toString('base64') },
        { checkpoint: { ...proof.checkpoint, time: 1 } },
        { checkpoint: checkpoints.find(({ root }) => root !== proof.checkpoint.root) ?? assert.fail() },
        { certificate: proof.certificate.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')) },
        ...(key ? [{ key: hash }] : []),
      ]
      for (const change of changes) {
        assert.throws(() => checkProof({ ...proof, ...change }, rootKey), { code: 'AUDIT_BROKEN' }, inspect(change))
        assert.throws(() => proveByTheBook({ ...proof, ...change }, rootKey), inspect(change))
      }
      assert.throws(() => checkProof(proof, createAuthority().root.publicKey), /certificate is not of this mesh/)
    }
    assert.equal(prove(records[0] ?? assert.fail(), records, [], undefined), undefined)
  })

  it('names every kind of event, and no other', () => {
    const page = readFileSync(join(installation, 'docs', 'audit.md'), 'utf8')
    const [, table = ''] = page.split('| kinds | of |\n')
    const [rows = ''] = table.split('\n\n')
    const named = [...rows.matchAll(/`([a-z]+\.[a-z]+)`/g)].map(([, kind]) => kind)
    assert.deepEqual(named.sort(), [...eventKinds].sort())
  })
})
