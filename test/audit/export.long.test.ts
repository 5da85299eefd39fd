/** `clawmesh audit export` and its like on a data folder: each event once, whatever happens to the consumer; and what they say when the stream or the file is not what it was. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, describe, it } from 'node:test'
import { createAuthority } from '../../mesh/seal/authority.js'
import { hex } from '../../mesh/seal/keys.js'
import { NatsTransport } from '../../mesh/transport/nats.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { takeLock } from '../../nodes/lock.mjs'
import { program, runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { compare, idsIn, idsOn } from './exported.js'
import { beginSite, type RunningSite, runSite } from './site.js'

/** Of an export. */
interface Line {
  id: string
  sequence: number
  time: string
}

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
    await node.audit.flush(60_000)
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
    await running.site.node.audit.flush(60_000)
    assert.equal((await audit('export', '--to', to)).status, 0)
    assert.deepEqual(compare(idsIn(to), await wanted()), [])
  })

  it('to a disk that is full ends with status 4 and what to do, and goes on where it was when there is room', {
    skip: process.platform === 'linux' ? false : 'mounts of its own are for Linux',
  }, async () => {
    running = await beginSite(data)
    for (let n = 0; n < 60; n += 1) await running.site.node.note('thought.asked', { n, words: 'x'.repeat(2000) })
    await running.site.node.audit.flush(60_000)
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
        await running?.site.node.audit.flush(60_000)
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
    assert.match(
      (await check(key)).stdout,
      /whole up to where it ends: \d+ events in 1 file\.\n.* not compared.*\n.*cut off cannot be judged/,
    )
    // The mesh has ended several times since it was made.
    const old = await audit('verify', '--export', to, '--root', key)
    assert.match(old.stderr, /is not all of the trail: it ends after \d+ records, and the authority vouched for \d+ at/)
    assert.equal(old.status, 1)
    assert.equal((await audit('export', '--to', to)).status, 0)
    const there = await audit('verify', '--export', to, '--root', key)
    assert.match(
      there.stdout,
      /in 1 file\.\nWhat it says in the clear is what the records hold\.\nIt holds all that the/,
    )
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
