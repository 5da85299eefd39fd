/** A data folder whose audit files were tampered with, damaged or left behind by a crash, as `audit verify` finds it. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../mesh/address.js'
import { openChain, readChain } from '../../mesh/audit/chain.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { encode } from '../../mesh/codec.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { inspectTrail } from '../../nodes/trail.js'
import { ClawmeshError } from '../../policies/errors.js'
import { runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { beginSite, runSite } from './site.js'

interface Verdict {
  ok: boolean
  unsent: number
  faults: { place: string; what: string }[]
}

describe('a data folder', () => {
  const whole = temporaryFolder()
  let data: string

  before(async () => {
    for (let run = 0; run < 3; run += 1) await runSite(whole, (node) => node.note('task.started', { run }))
  })
  after(() => rmSync(whole, { recursive: true, force: true }))

  const verify = async (): Promise<Verdict> => {
    const { lastLine, stderr } = await runCommand(['audit', 'verify', '--json', '--data', data])
    assert.notEqual(lastLine, '', stderr)
    const said = JSON.parse(lastLine) as Verdict & { error?: { code: string; message: string } }
    return said.error ? { ok: false, unsent: 0, faults: [{ place: '', what: said.error.message }] } : said
  }
  const finds = async (what: RegExp) => {
    const { ok, faults } = await verify()
    assert.equal(ok, false)
    assert.match(faults.map((fault) => `${fault.place}: ${fault.what}`).join('\n'), what)
  }
  const copyOf = (use: () => Promise<void>) => async () => {
    data = temporaryFolder()
    cpSync(whole, data, { recursive: true })
    await use().finally(() => rmSync(data, { recursive: true, force: true }))
  }
  const checkpoints = () => join(data, 'authority', 'checkpoints.jsonl')
  const note = () => join(data, 'newest-checkpoint.json')
  const operator = () => join(data, 'nodes', 'operator')
  const chain = () => join(operator(), 'audit.chain')
  const keepLines = (count: number) =>
    writeFileSync(
      checkpoints(),
      readFileSync(checkpoints(), 'utf8')
        .split('\n')
        .slice(0, count)
        .map((line) => `${line}\n`)
        .join(''),
    )

  it(
    'is whole as it was left',
    copyOf(async () => assert.deepEqual((await verify()).faults, [])),
  )

  it(
    'without its checkpoint file is broken',
    copyOf(async () => {
      rmSync(checkpoints())
      await finds(/0 checkpoints are left; .*newest-checkpoint\.json knows of 3/)
    }),
  )

  it(
    'without the last checkpoint is broken',
    copyOf(async () => {
      keepLines(2)
      await finds(/2 checkpoints are left; .* knows of 3/)
    }),
  )

  it(
    'without the note of the newest checkpoint is broken, and so with one that was edited',
    copyOf(async () => {
      const text = readFileSync(note(), 'utf8')
      rmSync(note())
      await finds(/newest-checkpoint\.json: the note of the newest checkpoint is gone/)
      writeFileSync(note(), text.replace('"checkpoints":3', '"checkpoints":2'))
      await finds(/is not what the authority wrote there/)
    }),
  )

  it(
    'without checkpoints and note is broken: each run wrote down what it found',
    copyOf(async () => {
      rmSync(checkpoints())
      rmSync(note())
      await finds(/0 checkpoints are left; the audit stream knows of 2/)
    }),
  )

  it(
    'with a note that a crash left one behind is whole',
    copyOf(async () => {
      const before = readFileSync(note())
      await runSite(data)
      writeFileSync(note(), before)
      assert.deepEqual((await verify()).faults, [])
    }),
  )

  it(
    'verifies while its mesh writes',
    copyOf(async () => {
      const { site, close } = await beginSite(data)
      let stopped = false
      const writing = (async () => {
        for (let n = 0; !stopped; n += 1) {
          await site.node.note('task.started', { n })
          if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      const source = await openLiveSource(data)
      assert.ok(source)
      const counts: number[] = []
      for (let round = 0; round < 5; round += 1) {
        const { verdict } = await inspectTrail(source)
        assert.deepEqual(verdict.faults, [])
        counts.push(verdict.records.length)
      }
      stopped = true
      await writing
      await source.close()
      await close()
      assert.ok((counts.at(-1) ?? 0) > (counts[0] ?? 0), `nothing was written meanwhile: ${counts}`)
    }),
  )

  it(
    'is vouched for by the clock while its mesh runs, unless it is broken, which is said',
    copyOf(async () => {
      const lines = () => readFileSync(checkpoints(), 'utf8').split('\n').length - 1
      const told: string[] = []
      const progress = (text: string) => void told.push(text)
      const running = await beginSite(data, { checkpointEveryMs: 20, progress })
      await eventually(() => assert.equal(lines(), 4))
      assert.equal((await running.close()).verdict.ok, true)
      assert.equal(lines(), 5, 'at its end too')
      keepLines(2)
      const broken = await beginSite(data, { checkpointEveryMs: 20, progress })
      await eventually(() =>
        assert.match(told.join('\n'), /no checkpoint was added: the trail is broken: .*checkpoints/),
      )
      await broken.close()
      assert.equal(lines(), 2)
    }),
  )

  it(
    'with one producer in two node folders is broken',
    copyOf(async () => {
      cpSync(operator(), join(data, 'nodes', 'twin'), { recursive: true })
      await finds(/node twin: its chain file is of the same producer as that of node operator/)
    }),
  )

  it(
    'with records that a crash kept from the stream is whole, says how many, and has them after the next start',
    copyOf(async () => {
      const credentials = readCredentials(join(operator(), 'credentials.json'), undefined)
      const own = openChain(chain())
      const addresses = addressesOf(credentials.mesh, credentials.meshKey)
      const log = { ...new MemoryBroker().connect().log('away'), append: () => Promise.reject(new Error('away')) }
      const writer = new AuditWriter({ credentials, addresses, log, chain: own, now: Date.now })
      for (let n = 0; n < 2; n += 1)
        await writer.record({ kind: 'task.ended', trace: '', actor: 'node/operator', facts: { n } })
      writer.close()
      assert.deepEqual(await verify().then(({ ok, unsent, faults }) => ({ ok, unsent, faults })), {
        ok: true,
        unsent: 2,
        faults: [],
      })
      const { stdout, status } = await runCommand(['audit', 'verify', '--data', data])
      assert.match(stdout, /2 events not sent yet \(operator\); the next start sends them/)
      assert.equal(status, 0)
      await runSite(data)
      assert.deepEqual(await verify().then(({ ok, unsent, faults }) => ({ ok, unsent, faults })), {
        ok: true,
        unsent: 0,
        faults: [],
      })
    }),
  )

  it(
    'whose unsent records do not go on from the stream is broken',
    copyOf(async () => {
      const own = openChain(chain())
      own.append(readChain(chain()).records[3] ?? new Uint8Array())
      own.close()
      await finds(/does not go on from what the stream holds/)
    }),
  )

  it(
    'whose stream lost records that it had is broken, though the chain file has them',
    copyOf(async () => {
      rmSync(join(data, 'broker', 'store'), { recursive: true })
      rmSync(checkpoints())
      rmSync(note())
      const { sent } = readChain(chain())
      await finds(new RegExp(`the stream ends here; it had ${sent} records of producer [0-9a-f]{32}`))
    }),
  )
})

describe('a chain file', () => {
  const folder = temporaryFolder()
  const path = join(folder, 'audit.chain')
  after(() => rmSync(folder, { recursive: true, force: true }))
  const aside = () => readdirSync(folder).filter((name) => name.includes('.cut-'))

  const write = (): Buffer => {
    for (const file of [path, `${path}.sent`]) rmSync(file, { force: true })
    const chain = openChain(path)
    for (const text of ['one', 'two', 'three']) chain.append(encode(text))
    chain.markSent(2)
    chain.close()
    return readFileSync(path)
  }

  it('with a damaged length before what was sent is not opened, and is left as it is', () => {
    const bytes = write()
    bytes[3] = 200
    writeFileSync(path, bytes)
    assert.throws(
      () => openChain(path),
      (error) =>
        error instanceof ClawmeshError &&
        error.code === 'AUDIT_BROKEN' &&
        /0 whole records; 2 were sent/.test(error.message),
    )
    assert.deepEqual(readFileSync(path), bytes)
    assert.deepEqual(aside(), [])
  })

  it('cut short before what was sent is not opened', () => {
    write()
    truncateSync(path, 6)
    assert.throws(() => openChain(path), /0 whole records; 2 were sent/)
  })

  it('with an unfinished end goes on before it, and keeps the cut bytes beside it', () => {
    const bytes = write()
    const tail = Buffer.from([0, 0, 0, 9, 1, 2])
    writeFileSync(path, Buffer.concat([bytes, tail]))
    const chain = openChain(path)
    assert.equal(chain.begun.count, 3)
    chain.close()
    assert.deepEqual(readFileSync(path), bytes)
    assert.deepEqual(aside(), [`audit.chain.cut-${bytes.length}`])
    assert.deepEqual(readFileSync(`${path}.cut-${bytes.length}`), tail)
    assert.ok(existsSync(`${path}.sent`))
  })
})
