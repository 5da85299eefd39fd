/** `clawmesh audit export` to a file: each event once, whatever happens to the consumer; and what it says when the stream or the file is not what it was. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { addressesOf } from '../../mesh/address.js'
import { memoryChain } from '../../mesh/audit/chain.js'
import { Opener } from '../../mesh/audit/opener.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { type Authority, createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { hex } from '../../mesh/seal/keys.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import { NatsTransport } from '../../mesh/transport/nats.js'
import type { AppendLog, Transport } from '../../mesh/transport/transport.js'
import { checkExport, EventFile, eventFiles } from '../../nodes/audit/event-file.js'
import { type Format, formats } from '../../nodes/audit/format.js'
import { readTrail } from '../../nodes/audit/read.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { takeLock } from '../../nodes/lock.mjs'
import { ClawmeshError } from '../../policies/errors.js'
import { program, runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { natsMesh, temporaryFolder } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { compare, idsIn, idsOn, shortened } from './exported.js'
import { beginSite, type RunningSite, runSite } from './site.js'

/** Of an export. */
interface Line {
  id: string
  sequence: number
  time: string
}

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
      if (n % 3 === 0) await Promise.all(writers.map((writer) => writer.flush(1000)))
    }
    await Promise.all(writers.map((writer) => writer.flush(1000)))
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
    assert.equal(checkExport(files, format, rootKey, true, opener), left.length)
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

describe('on a data folder', () => {
  let data: string
  let to: string
  let running: RunningSite | undefined
  before(() => {
    data = temporaryFolder()
    to = join(data, 'exports', 'events.jsonl')
    mkdirSync(join(data, 'exports'))
  })
  const end = async () => {
    const ending = running
    running = undefined
    await ending?.close()
  }
  afterEach(end)
  after(() => {
    rmSync(data, { recursive: true, force: true })
  })

  const audit = (...args: string[]) => runCommand(['audit', ...args, '--data', data])
  const wanted = async () => {
    const source = await openLiveSource(data)
    assert.ok(source)
    return idsOn(source.records, source.authority).finally(() => source.close())
  }

  it('exports, tails and verifies the trail of a mesh that runs, and goes on when it has ended', async () => {
    running = await beginSite(data)
    const { node } = running.site
    for (let n = 0; n < 30; n += 1)
      await node.note(n % 3 === 0 ? 'action.held' : 'thought.asked', { n }, `task-${n % 2}`)
    await node.audit.flush(5000)
    const exported = await audit('export', '--to', to)
    assert.equal(exported.status, 0, exported.stderr)
    assert.deepEqual(compare(idsIn(to), await wanted()), [])

    const verified = await audit('verify', '--json')
    assert.equal(JSON.parse(verified.lastLine).ok, true, verified.lastLine)

    const tail = await audit('tail', '--json')
    const shown = tail.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { facts: { n?: number } })
    assert.deepEqual(
      shown.map(({ facts }) => facts.n),
      Array.from({ length: 20 }, (_, n) => n + 10),
    )

    const held = await audit('query', '--kind', 'action', '--trace', 'task-0', '--json')
    const found = held.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { facts: { n: number } }).facts.n)
    assert.deepEqual(found, [0, 6, 12, 18, 24])
    assert.equal((await audit('query', '--from', '1d', '--until', '1h')).stdout, '')
    assert.match((await audit('query', '--from', 'yesterday')).stderr, /"yesterday" is no time/)
    assert.match((await audit('tail', '--kind', 'nothing')).stderr, /"nothing" is no kind of event/)

    await end()
    assert.equal((await audit('export', '--to', to)).status, 0)
    running = await beginSite(data)
    await running.site.node.audit.flush(5000)
    assert.equal((await audit('export', '--to', to)).status, 0)
    assert.deepEqual(compare(idsIn(to), await wanted()), [])
  })

  it('to a disk that is full ends with status 4 and what to do, and goes on where it was when there is room', {
    skip: process.platform === 'linux' ? false : 'mounts of its own are for Linux',
  }, async () => {
    running = await beginSite(data)
    for (let n = 0; n < 60; n += 1) await running.site.node.note('thought.asked', { n, words: 'x'.repeat(2000) })
    await running.site.node.audit.flush(5000)
    const disk = join(data, 'disk')
    mkdirSync(disk)
    const file = join(disk, 'events.jsonl')
    const script = `mount -t tmpfs -o size=8m tmpfs "$0" && head -c ${8 * 1024 * 1024 - 65_536} /dev/zero > "$0/filler" || exit 90
      "$@"; [ $? = 4 ] || exit 91; rm "$0/filler"; "$@" || exit 93; cat "${file}"`
    const args = [disk, process.execPath, program, 'audit', 'export', '--to', file, '--data', data]
    const own = process.getuid?.() === 0 ? '-m' : '-Urm'
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const child = spawn('unshare', [own, 'sh', '-c', script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const [written, said, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    assert.equal(status, 0, said)
    assert.match(said, /No space is left on the disk/)
    const copy = join(data, 'exports', 'from-full.jsonl')
    writeFileSync(copy, written)
    assert.deepEqual(compare(idsIn(copy), await wanted()), [])
    rmSync(copy)
    await end()
  })

  it('follows one mesh after another, each event once, until it is told to end', async () => {
    const file = join(data, 'exports', 'followed.jsonl')
    const args = [program, 'audit', 'export', '--follow', '--to', file, '--data', data]
    const child = spawn(process.execPath, args, { stdio: 'ignore' })
    const ended = once(child, 'exit')
    try {
      await eventually(() => assert.ok(idsIn(file).length > 0), 30_000)
      for (let round = 0; round < 2; round += 1) {
        await eventually(async () => {
          running = await beginSite(data)
        }, 30_000)
        for (let n = 0; n < 10; n += 1) await running?.site.node.note('thought.asked', { n })
        await running?.site.node.audit.flush(5000)
        const on = await wanted()
        await eventually(() => assert.equal(idsIn(file).length, on.length), 30_000)
        assert.deepEqual(compare(idsIn(file), on), [])
        if (round === 0) await end()
      }
    } finally {
      child.kill('SIGINT')
    }
    assert.deepEqual(await ended, [0, null])
    await end()
    rmSync(file)
  })

  it('gives the readers of a running mesh no right but to read the audit stream', async () => {
    running = await beginSite(data)
    const source = await openLiveSource(data)
    assert.ok(source)
    const { records, addresses, log } = source
    assert.ok((await log.last()) > 0)
    await assert.rejects(log.append(addresses.audit('x'), 'x', new Uint8Array([1])))
    await assert.rejects(async () => (await records.bucket(addresses.directory)).get('node.x'))
    assert.ok(records instanceof NatsTransport)
    await assert.rejects(records.provideBuckets(addresses))
    await assert.rejects(records.provideAudit({ ...addresses, auditStream: 'another', auditSubjects: 'another.*' }))
    await source.close()
  })

  it('proves an export with nothing but the root’s public key', async () => {
    const key = (await audit('key')).stdout.trim()
    const check = (root: string) => runCommand(['audit', 'verify', '--export', to, '--root', root])
    assert.match((await check(key)).stdout, /The export is whole: \d+ events in 1 file\.\n.* was not compared/)
    const there = await audit('verify', '--export', to, '--root', key)
    assert.match(there.stdout, /whole: \d+ events in 1 file\.\nWhat it says in the clear is what the records hold\./)
    const other = await check(hex(createAuthority().root.publicKey))
    assert.equal(other.status, 1)
    assert.match(other.stderr, /authority did not sign/)
    const text = readFileSync(to, 'utf8')
    const lines = text.split('\n')
    for (const at of [2, lines.length - 5]) {
      writeFileSync(to, lines.toSpliced(at, 1).join('\n'))
      assert.equal((await check(key)).status, 1, `line ${at} was left out`)
    }
    writeFileSync(to, text)
    assert.match((await check('abc')).stderr, /"abc" is no root key/)
  })

  it('begins with the time or the stream message that is asked for, whole from there on, and goes on by itself', async () => {
    const rest = (...from: string[]) => audit('export', '--to', part, '--from', ...from)
    const part = join(data, 'exports', 'part.jsonl')
    const linesOf = (file: string) =>
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line) as Line)
    assert.equal((await audit('export', '--to', to)).status, 0)
    const all: Line[] = linesOf(to)
    const middle = all[Math.floor(all.length / 2)]
    assert.ok(middle)
    for (const from of [middle.time, String(middle.sequence)]) {
      rmSync(part, { force: true })
      const { status, stderr } = await rest(from)
      assert.equal(status, 0, stderr)
      // A record is given out whole: its events are proven together.
      const first: Line | undefined = all.find(({ time, sequence }) =>
        from === middle.time ? time >= from : sequence >= middle.sequence,
      )
      assert.ok(first)
      assert.deepEqual(
        linesOf(part),
        all.filter(({ sequence }) => sequence >= first.sequence),
        from,
      )
    }
    const written = readFileSync(part)
    assert.equal((await rest('0')).status, 0)
    assert.ok(readFileSync(part).equals(written), 'what was begun goes on where it was')
    const key = (await audit('key')).stdout.trim()
    const verify = ['audit', 'verify', '--export', part, '--root', key]
    assert.equal((await runCommand(verify)).status, 1, 'it is not the whole trail')
    assert.equal((await runCommand([...verify, '--partial'])).status, 0)
    assert.equal((await rest('soon')).status, 2)
    rmSync(part)
  })

  it('lets one export at a time write to a file', async () => {
    running = await beginSite(data)
    const held = takeLock(`${to}.lock`)
    assert.ok('release' in held)
    const second = await audit('export', '--to', to)
    assert.equal(second.status, 4)
    assert.match(second.stderr, /Another export writes/)
    held.release()
  })

  it('notices a stream that was put back to an earlier state behind the consumer', async () => {
    const old = temporaryFolder()
    cpSync(join(data, 'broker'), old, { recursive: true })
    await runSite(data)
    assert.equal((await audit('export', '--to', to)).status, 0)
    const kept = readFileSync(to)
    rmSync(join(data, 'broker'), { recursive: true })
    cpSync(old, join(data, 'broker'), { recursive: true })
    rmSync(old, { recursive: true })
    const cut = await audit('export', '--to', to)
    assert.equal(cut.status, 1)
    assert.match(cut.stderr, /The audit stream ends at message \d+; it was read up to message \d+ before/)
    assert.ok(readFileSync(to).equals(kept), 'what was exported is kept')
    assert.deepEqual(readdirSync(join(data, 'exports')), ['events.jsonl'])
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
