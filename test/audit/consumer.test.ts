/** The file that `clawmesh audit export` writes: each event once, wherever it was cut; and a stream that is not what it was. The command itself is in export.long.test.ts. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, before, beforeEach, describe, it } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { addressesOf } from '../../mesh/address.js'
import { memoryChain } from '../../mesh/audit/chain.js'
import { Opener } from '../../mesh/audit/opener.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { type Authority, createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { AppendLog, Transport } from '../../mesh/transport/transport.js'
import { checkExport, EventFile, eventFiles } from '../../nodes/audit/event-file.js'
import { type Format, formats } from '../../nodes/audit/format.js'
import { readTrail } from '../../nodes/audit/read.js'
import { ClawmeshError } from '../../policies/errors.js'
import { eventually } from '../kit/eventually.js'
import { natsMesh, temporaryFolder } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { compare, idsIn, idsOn, shortened } from './exported.js'

const broken = (what: RegExp) => (error: unknown) =>
  error instanceof ClawmeshError && error.code === 'AUDIT_BROKEN' && what.test(error.message)

describe('an event file', () => {
  let authority: Authority
  let transport: Transport
  let log: AppendLog
  let folder: string
  let path: string

  before(async () => {
    authority = createAuthority()
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    transport = new MemoryBroker().connect()
    log = transport.log(addresses.auditStream)
    const random = seededRandom(7)
    const writers = ['one', 'two'].map((name) => {
      const credentials = enrol(authority, { name, roles: ['worker'] }, Date.now())
      return new AuditWriter({ credentials, addresses, log, chain: memoryChain(), now: Date.now })
    })
    for (let n = 0; n < 20; n += 1) {
      const facts = { n, text: 'ä'.repeat(wholeBelow(random, 30)) }
      for (const writer of writers) await writer.record({ kind: 'thought.asked', trace: 't', actor: 'worker', facts })
      if (n % 3 === 0) await Promise.all(writers.map((writer) => writer.flush(60_000)))
    }
    await Promise.all(writers.map((writer) => writer.flush(60_000)))
  })
  beforeEach(() => {
    folder = temporaryFolder()
    path = join(folder, 'events')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const open = (format: Format, rotateBytes = 1e9) =>
    new EventFile({ path, format, mesh: authority.mesh, rootKey: authority.root.publicKey, rotateBytes })

  /** Writes what is missing, or no more than `messages` stream messages of it. */
  async function fill(file: EventFile, messages = Number.POSITIVE_INFINITY): Promise<void> {
    const { reader, after, throwIfFaulty } = file
    const some = shortened(log, after + messages)
    for await (const events of readTrail({ log: some, authority, reader, after, throwIfFaulty })) file.append(events)
    file.close()
  }

  for (const format of formats) {
    it(`as ${format.name} is the same to the byte wherever it was cut`, async () => {
      await fill(open(format))
      const whole = readFileSync(path)
      const first = whole.indexOf(0x0a) + 1
      let tried = 0
      for (let length = first; length < whole.length; length += 307) {
        truncateSync(path, length)
        await fill(open(format))
        assert.ok(readFileSync(path).equals(whole), `cut to ${length} bytes`)
        tried += 1
      }
      assert.ok(tried > 40, `${tried} places`)
    })

    it(`as ${format.name} goes on over rotations, and from a crash between two files`, async () => {
      for (let round = 0; round < 60; round += 1) {
        await fill(open(format, 4000), 1)
        // As if the process had died after the full file was put away.
        if (round % 7 === 3) renameSync(path, `${path}.${eventFiles(path).length}`)
      }
      const files = eventFiles(path)
      assert.ok(files.length > 4, `${files.length} files`)
      const found = files
        .flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(1, -1))
        .flatMap((line) => {
          const read = format.read(line)
          return 'id' in read ? [read.id] : []
        })
      assert.equal(new Set(found).size, found.length)
      assert.equal(found.length, (await idsOn(transport, authority)).length)
    })
  }

  it('keeps as many full files as it is told to, and what is left is whole from where it begins', async () => {
    const [format] = formats
    assert.ok(format)
    const rootKey = authority.root.publicKey
    const options = { path, format, mesh: authority.mesh, rootKey, rotateBytes: 4000, keep: 2 }
    for (let round = 0; round < 60; round += 1) await fill(new EventFile(options), 1)
    const files = eventFiles(path)
    assert.equal(files.length, 3)
    assert.throws(() => checkExport(files, format, rootKey), broken(/or is not the first/))
    const left = idsIn(path)
    const opener = new Opener(authority.auditor, authority.subjects)
    const { events, before } = checkExport(files, format, rootKey, true, opener)
    assert.equal(events, left.length)
    assert.equal(before + left.length, (await idsOn(transport, authority)).length)
    assert.deepEqual(left, (await idsOn(transport, authority)).slice(-left.length))
    assert.throws(() => checkExport(files.slice(0, 1).concat(path), format, rootKey, true), broken(/does not go on/))
  })

  for (const format of formats)
    it(`as ${format.name} that says something else than its records is noticed by who can open them, and what stands outside the seal by anybody`, async () => {
      await fill(open(format), 1000)
      const rootKey = authority.root.publicKey
      const opener = new Opener(authority.auditor, authority.subjects)
      const lines = readFileSync(path, 'utf8').split('\n')
      checkExport([path], format, rootKey, false, opener)
      const write = (change: (line: string) => string) => {
        const changed = change(lines[3] ?? '')
        assert.notEqual(changed, lines[3])
        writeFileSync(path, lines.with(3, changed).join('\n'))
      }
      const says = broken(/line 4 says something else than its record/)
      for (const [from, to] of [
        [/"facts":\{"n":(\d+)/, '"facts":{"n":1$1'],
        [/"facts":\{/, '"facts":{"more":1,'],
        [/"thought\.asked"/g, '"thought.answered"'],
      ] as const) {
        write((line) => line.replace(from, to))
        assert.throws(() => checkExport([path], format, rootKey, false, opener), says, String(from))
      }
      write((line) => line.replace(/"node":"(one|two)"/, '"node":"three"'))
      assert.throws(() => checkExport([path], format, rootKey), says)
    })

  it('gets what stands before the first fault, and the rest once that is mended', async () => {
    const [jsonl] = formats
    assert.ok(jsonl)
    const at = Math.ceil((await log.last()) / 2)
    const damaged: AppendLog = {
      ...shortened(log, Number.POSITIVE_INFINITY),
      read: async function* (from) {
        for await (const message of log.read(from)) {
          const bytes = message.bytes.slice()
          if (message.sequence === at) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
          yield { ...message, bytes }
        }
      },
    }
    const file = open(jsonl)
    const { reader, after, throwIfFaulty } = file
    const reading = async () => {
      for await (const events of readTrail({ log: damaged, authority, reader, after, throwIfFaulty }))
        file.append(events)
    }
    const named = broken(new RegExp(`record \\d+ of node \\w+ \\(stream message ${at}\\)`))
    await assert.rejects(reading, named).finally(() => file.close())
    assert.equal(file.after, at - 1)
    await fill(open(jsonl))
    assert.deepEqual(compare(idsIn(path), await idsOn(transport, authority)), [])
  })

  it('that was changed, or belongs to another mesh, is not gone on with', async () => {
    const [jsonl] = formats
    assert.ok(jsonl)
    await fill(open(jsonl))
    const text = readFileSync(path, 'utf8')
    const lines = text.split('\n')
    writeFileSync(path, lines.with(3, 'nonsense').join('\n'))
    assert.throws(() => open(jsonl), broken(/line 4 is no line of an export as jsonl/))
    writeFileSync(path, lines.toSpliced(5, 1).join('\n'))
    assert.throws(() => open(jsonl), broken(/before it \(from \d+\) (is|are) missing/))
    writeFileSync(path, lines.toSpliced(6, 0, lines[5] ?? '').join('\n'))
    assert.throws(() => open(jsonl), broken(/a record stands in it twice/))
    writeFileSync(path, text)
    const mesh = createAuthority().mesh
    const options = { path, format: jsonl, mesh, rootKey: authority.root.publicKey, rotateBytes: 1e9 }
    assert.throws(() => new EventFile(options), /another mesh/)
  })
})

describe('a consumer that follows', () => {
  it('notices a stream that is removed and begun anew while it reads', async () => {
    const mesh = await natsMesh()
    try {
      const node = await mesh.join('writer')
      for (let n = 0; n < 20; n += 1)
        await node.audit.intend({ kind: 'thought.asked', trace: '', actor: 'w', facts: { n } })
      const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
      const operator = await mesh.connectAsAuditor()
      const intruder = await mesh.plain(await mesh.accounts.administrator('audit'))
      const seen: number[] = []
      const reading = (async () => {
        for await (const { sequence } of operator.log(addresses.auditStream).follow(1, new AbortController().signal))
          seen.push(sequence)
      })()
      const failed = assert.rejects(
        reading,
        broken(/The audit stream ends at message \d+; it was read up to message \d+ before/),
      )
      await eventually(() => assert.ok(seen.length >= 20))
      await (await jetstreamManager(intruder)).streams.delete(addresses.auditStream)
      await operator.provideAudit(addresses)
      await failed
      await intruder.close()
      await operator.close()
    } finally {
      await mesh.close()
    }
  })
})
